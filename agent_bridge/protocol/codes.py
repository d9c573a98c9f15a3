"""The names, numbers and limits of docs/bridge-protocol.md."""

from enum import IntEnum, StrEnum
from typing import Final, Literal

BRIDGE: Final = "voxql.bridge.v1"
"""The subprotocol of one conversation."""
WORKER: Final = "voxql.worker.v1"
"""The subprotocol of a worker's control connection."""

FRAME_BYTES: Final = 64 * 1024
"""The largest frame to the server, in bytes of UTF-8."""
FRAME_BYTES_TO_AGENT: Final = 256 * 1024
"""The largest frame to an agent, in bytes; fits any line that a person may type, JSON-escaped."""
TEXT_BYTES: Final = 32 * 1024
"""The longest text of an utterance or a typed line, in bytes of UTF-8."""
KEY_LENGTH: Final = 128
"""The longest key, in characters."""
SECRET_LENGTH: Final = 4096
"""The longest token or worker key, in characters."""
LANGUAGE_LENGTH: Final = 35
"""Characters of a language tag that RFC 5646 section 4.4.1 asks implementations to support."""
LARGEST_REVISION: Final = 2**53 - 1
"""The largest integer that every JSON implementation holds exactly (RFC 8259 section 6)."""
MOST_CAPABILITIES: Final = 32
MOST_AGENT_NAMES: Final = 32
MOST_PLACES: Final = 10_000

HELLO_SECONDS: Final = 10.0
"""How long the first frame may take."""
START_SECONDS: Final = 2.0
"""How long a worker may take to answer a start."""
FENCE_SECONDS: Final = 10.0
"""How long a fenced attempt may drain its finals."""
BYE_SECONDS: Final = 10.0
"""How long the server keeps answering after a bye."""

Role = Literal["USER", "AGENT"]
Source = Literal["SPEECH", "TYPED"]
State = Literal["INITIALIZING", "LISTENING", "THINKING", "SPEAKING"]


CLOSE_REASON_BYTES: Final = 123
"""What a close frame holds besides its code (RFC 6455, section 5.5)."""


def close_reason(text: str) -> str:
    """Cut a text to what a close frame holds, whatever a client has put into it."""
    return text.encode(errors="replace")[:CLOSE_REASON_BYTES].decode(errors="ignore")


class CloseCode(IntEnum):
    """Why a connection was closed."""

    DONE = 1000
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTARTING = 1012
    BAD_FRAME = 4400
    UNAUTHENTICATED = 4401
    HELLO_TIMEOUT = 4408
    FENCED = 4409
    GONE = 4410
    SLOW_READER = 4429

    @property
    def is_terminal(self) -> bool:
        """Whether reconnecting in the same way is pointless."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset(
    {
        CloseCode.TOO_BIG,
        CloseCode.BAD_FRAME,
        CloseCode.UNAUTHENTICATED,
        CloseCode.FENCED,
        CloseCode.GONE,
    }
)


class NackCode(StrEnum):
    """Why an utterance was rejected. Clients decide by `terminal` alone, so codes may be added."""

    EMPTY_TEXT = "EMPTY_TEXT"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    BAD_TEXT = "BAD_TEXT"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    BAD_VALUE = "BAD_VALUE"
    FENCED = "FENCED"
    GONE = "GONE"
    KEY_TAKEN = "KEY_TAKEN"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    NOT_STORED = "NOT_STORED"


STOP_FENCED: Final = "FENCED"
REFUSED_FULL: Final = "FULL"
REFUSED_DRAINING: Final = "DRAINING"
REFUSED_UNKNOWN_AGENT: Final = "UNKNOWN_AGENT"
