"""Implements docs/audio-protocol.md without input or output: frames, limits, close codes."""

import json
from enum import Enum, IntEnum
from typing import Annotated, Final, cast

from msgspec import Meta

from .codes import close_reason
from .records import SECRET, MemberFault, Record, by_type, length, members_of, read, text

SUBPROTOCOL: Final = "voxql.audio.v1"
INPUT_SAMPLE_RATE: Final = 16_000
"""Samples per second from the person to the agent."""
OUTPUT_SAMPLE_RATE: Final = 24_000
"""Samples per second from the agent to the person."""
SAMPLE_WIDTH: Final = 2
"""Bytes per sample: signed, little-endian, one channel."""
MAX_FRAME: Final = 65_536
"""Bytes per message, text or binary."""
HELLO_TIMEOUT: Final = 10.0
"""Seconds that a connection may take to say who it is."""
PING_INTERVAL: Final = 20.0
_MAX_TOKEN: Final = 4_096
_MAX_ID: Final = 128
_MAX_SAMPLES: Final = 2**53 - 1


class Role(Enum):
    """Which side of a conversation a connection is."""

    PERSON = "PERSON"
    AGENT = "AGENT"


class Close(IntEnum):
    """Why a connection was closed; the codes mean the same as in the bridge protocol."""

    ENDED = 1000
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTARTING = 1012
    BAD_FRAME = 4400
    UNAUTHENTICATED = 4401
    HELLO_TIMEOUT = 4408
    FENCED = 4409
    GONE = 4410
    TOO_FAST = 4425
    SLOW_READER = 4429

    @property
    def is_terminal(self) -> bool:
        """Whether reconnecting with the same token is pointless."""
        return self not in _PASSING

    def says(self, sentence: str) -> str:
        """Return the close reason: the name, then a sentence (at most 123 bytes, by RFC 6455)."""
        return close_reason(f"{self.name}: {sentence}")


_PASSING: Final = frozenset(
    {Close.INTERNAL, Close.RESTARTING, Close.HELLO_TIMEOUT, Close.SLOW_READER}
)


class BadFrame(Exception):
    """A message breaks the protocol; the text says what was expected and what came."""


Token = Annotated[str, length(_MAX_TOKEN), SECRET]
Playout = Annotated[str, text(_MAX_ID)]
Samples = Annotated[int, Meta(ge=0, le=_MAX_SAMPLES, description="an integer from 0")]


class Hello(Record, frozen=True, tag="hello"):
    """The first frame of either side."""

    token: Token
    reports_played: bool = False


class Welcome(Record, frozen=True, tag="welcome"):
    """The token is valid."""

    session: Annotated[str, length(_MAX_ID)]
    role: Role
    input_sample_rate: int = INPUT_SAMPLE_RATE
    output_sample_rate: int = OUTPUT_SAMPLE_RATE


class Peer(Record, frozen=True, tag="peer"):
    """The other side joined or left."""

    connected: bool
    reports_played: bool = False


class Begin(Record, frozen=True, tag="begin"):
    """A spoken reply begins."""

    playout: Playout


class End(Record, frozen=True, tag="end"):
    """A spoken reply is complete; it has this many samples."""

    playout: Playout
    samples: Samples


class Clear(Record, frozen=True, tag="clear"):
    """Stop playing this reply, and discard the rest of it."""

    playout: Playout


class Played(Record, frozen=True, tag="played"):
    """This many samples of the reply have been heard, from its beginning."""

    playout: Playout
    samples: Samples


Frame = Hello | Welcome | Peer | Begin | End | Clear | Played
KINDS: Final = by_type(Hello, Welcome, Peer, Begin, End, Clear, Played)


def encode(frame: Frame) -> str:
    """Encode a frame as a text message."""
    return json.dumps(members_of(frame), ensure_ascii=False, separators=(",", ":"))


def decode(message: str) -> Frame | None:
    """Decode a text message; None if its type is not one of ours.

    Raises:
        BadFrame: It is not a JSON object, or a member is missing or of the wrong type.
    """
    try:
        members = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a text message must be a JSON object") from error
    if not isinstance(members, dict):
        raise BadFrame("a text message must be a JSON object")
    frame_type = members.get("type")
    if not isinstance(frame_type, str):
        raise BadFrame("a control frame needs a type")
    kind = KINDS.get(frame_type)
    if kind is None:
        return None
    try:
        return cast(Frame, read(kind, members))
    except MemberFault as fault:
        raise BadFrame(str(fault)) from None


def check_sound(data: bytes) -> None:
    """Check a binary message.

    Raises:
        BadFrame: It is empty, or not a whole number of samples.
    """
    if not data or len(data) % SAMPLE_WIDTH:
        raise BadFrame(f"sound comes in whole 16-bit samples, and this had {len(data)} bytes")


def _no_constant(name: str) -> None:
    raise ValueError(name)
