"""What passes over `/audio`, as data: frames, limits and close codes of docs/audio-protocol.md."""

import json
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from agent_bridge.protocol.codes import close_reason

SUBPROTOCOL: Final = "voxql.audio.v1"
INPUT_SAMPLE_RATE: Final = 16_000
"""Samples a second from the person to the agent."""
OUTPUT_SAMPLE_RATE: Final = 24_000
"""Samples a second from the agent to the person."""
SAMPLE_WIDTH: Final = 2
"""Bytes a sample: signed, little-endian, one channel."""
MAX_FRAME: Final = 65_536
"""Bytes a message, of either kind."""
HELLO_TIMEOUT: Final = 10.0
"""Seconds a connection may take to say who it is."""
PING_INTERVAL: Final = 20.0
_MAX_TOKEN: Final = 4_096
_MAX_ID: Final = 128
_MAX_SAMPLES: Final = 2**53 - 1


class Role(Enum):
    """The side of a conversation that a connection is."""

    PERSON = "PERSON"
    AGENT = "AGENT"


class Close(IntEnum):
    """Why a connection was closed; the numbers mean the same as in the bridge protocol."""

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
        """Whether connecting again with the same token would be pointless."""
        return self not in _PASSING

    def says(self, sentence: str) -> str:
        """Return the close reason: the name, then a sentence (123 bytes at most, by RFC 6455)."""
        return close_reason(f"{self.name}: {sentence}")


_PASSING: Final = frozenset(
    {Close.INTERNAL, Close.RESTARTING, Close.HELLO_TIMEOUT, Close.SLOW_READER}
)


class BadFrame(Exception):
    """A message that the protocol doesn't allow; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame of either side."""

    token: str
    reports_played: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """The token was good."""

    session: str
    role: Role


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side came or went."""

    connected: bool
    reports_played: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """A spoken reply begins."""

    playout: str


@dataclass(frozen=True, slots=True)
class End:
    """A spoken reply is complete; it had this many samples."""

    playout: str
    samples: int


@dataclass(frozen=True, slots=True)
class Clear:
    """Nothing more of this reply is to be heard."""

    playout: str


@dataclass(frozen=True, slots=True)
class Played:
    """So many samples of this reply have been heard, from its beginning."""

    playout: str
    samples: int


Frame = Hello | Welcome | Peer | Begin | End | Clear | Played


def encode(frame: Frame) -> str:
    """Return the text message of a frame."""
    match frame:
        case Hello():
            members: dict[str, object] = {
                "type": "hello",
                "token": frame.token,
                "reportsPlayed": frame.reports_played,
            }
        case Welcome():
            members = {
                "type": "welcome",
                "inputSampleRate": INPUT_SAMPLE_RATE,
                "outputSampleRate": OUTPUT_SAMPLE_RATE,
                "session": frame.session,
                "role": frame.role.value,
            }
        case Peer():
            members = {
                "type": "peer",
                "connected": frame.connected,
                "reportsPlayed": frame.reports_played,
            }
        case Begin() | Clear():
            kind = "begin" if isinstance(frame, Begin) else "clear"
            members = {"type": kind, "playout": frame.playout}
        case End() | Played():
            kind = "end" if isinstance(frame, End) else "played"
            members = {"type": kind, "playout": frame.playout, "samples": frame.samples}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def decode(message: str) -> Frame | None:
    """Return the frame of a text message, or None when its type is not one of ours.

    Raises:
        BadFrame: not a JSON object, or a member is missing or of the wrong type.
    """
    try:
        members = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadFrame("a text message must be a JSON object") from error
    if not isinstance(members, dict):
        raise BadFrame("a text message must be a JSON object")
    match members.get("type"):
        case "hello":
            return Hello(
                _text(members, "token", _MAX_TOKEN),
                _flag(members, "reportsPlayed", optional=True),
            )
        case "welcome":
            return Welcome(_text(members, "session", _MAX_ID), _role(members))
        case "peer":
            return Peer(_flag(members, "connected"), _flag(members, "reportsPlayed", optional=True))
        case "begin":
            return Begin(_id(members))
        case "end":
            return End(_id(members), _samples(members))
        case "clear":
            return Clear(_id(members))
        case "played":
            return Played(_id(members), _samples(members))
        case str():
            return None
        case _:
            raise BadFrame("a control frame needs a type")


def check_sound(data: bytes) -> None:
    """Check a binary message.

    Raises:
        BadFrame: empty, or not a whole number of samples.
    """
    if not data or len(data) % SAMPLE_WIDTH:
        raise BadFrame(f"sound comes in whole 16-bit samples, and this had {len(data)} bytes")


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _text(members: dict[str, object], name: str, longest: int) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise BadFrame(f"{name} must be a string of 1 to {longest} characters")
    return value


def _id(members: dict[str, object]) -> str:
    value = _text(members, "playout", _MAX_ID)
    if not value.isprintable():
        raise BadFrame("playout must be printable characters")
    return value


def _flag(members: dict[str, object], name: str, *, optional: bool = False) -> bool:
    value = members.get(name)
    if value is None and optional:
        return False
    if not isinstance(value, bool):
        raise BadFrame(f"{name} must be true or false")
    return value


def _samples(members: dict[str, object]) -> int:
    value = members.get("samples")
    if type(value) is not int or not 0 <= value <= _MAX_SAMPLES:
        raise BadFrame("samples must be an integer from 0")
    return value


def _role(members: dict[str, object]) -> Role:
    try:
        return Role(members.get("role"))
    except ValueError as error:
        raise BadFrame("role must be PERSON or AGENT") from error
