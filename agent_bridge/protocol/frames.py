"""The frames of docs/bridge-protocol.md as records; what is secret or said is not in a repr."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from .codes import Role, Source, State


@dataclass(frozen=True, slots=True)
class Hello:
    """Agent to server, first: who I am."""

    TYPE: ClassVar = "hello"
    token: str = field(repr=False)
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """Agent to server: I can hear and answer."""

    TYPE: ClassVar = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """Agent to server: what was said, so far or finally. Times are aware datetimes."""

    TYPE: ClassVar = "utterance"
    segment: str
    revision: int = 0
    """Grows within the segment, from 1. The client counts by itself where this is left at 0."""
    role: Role
    text: str = field(repr=False)
    """The whole text so far, never a delta."""
    final: bool
    started_at: datetime
    ended_at: datetime | None = None
    interrupted: bool = False
    confidence: float | None = None
    """From 0 to 1."""
    language: str | None = None
    speaker: str | None = field(default=None, repr=False)
    source: Source = "SPEECH"


@dataclass(frozen=True, slots=True)
class AgentState:
    """Agent to server: what I am doing."""

    TYPE: ClassVar = "agentState"
    state: State


@dataclass(frozen=True, slots=True)
class InputAck:
    """Agent to server: this typed line has been taken care of."""

    TYPE: ClassVar = "inputAck"
    key: str


@dataclass(frozen=True, slots=True)
class Bye:
    """Agent to server, last: I leave."""

    TYPE: ClassVar = "bye"
    reason: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Server to agent: the token was good."""

    TYPE: ClassVar = "welcome"
    session: str
    attempt: int
    is_current: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """Server to agent: settled. Of a final: committed and synced to disk."""

    TYPE: ClassVar = "ack"
    segment: str
    revision: int


@dataclass(frozen=True, slots=True)
class Nack:
    """Server to agent: not taken; send it again later unless `terminal`."""

    TYPE: ClassVar = "nack"
    segment: str
    revision: int
    code: str
    message: str
    terminal: bool


@dataclass(frozen=True, slots=True)
class Input:
    """Server to agent: the person typed this."""

    TYPE: ClassVar = "input"
    key: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """Server to agent: finish, drain, say bye."""

    TYPE: ClassVar = "stop"
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerHello:
    """Worker to server, first: who I am and what I can run."""

    TYPE: ClassVar = "hello"
    key: str = field(repr=False)
    agent_names: tuple[str, ...]
    places: int


@dataclass(frozen=True, slots=True)
class Places:
    """Worker to server: how many more conversations I can take now."""

    TYPE: ClassVar = "places"
    free: int


@dataclass(frozen=True, slots=True)
class Started:
    """Worker to server: the agent is on its way."""

    TYPE: ClassVar = "started"
    session: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Worker to server: not here."""

    TYPE: ClassVar = "refused"
    session: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerWelcome:
    """Server to worker: the key was good."""

    TYPE: ClassVar = "welcome"


@dataclass(frozen=True, slots=True)
class Start:
    """Server to worker: join this conversation."""

    TYPE: ClassVar = "start"
    session: str
    attempt: int
    agent_name: str
    bridge_token: str = field(repr=False)
    audio_token: str = field(repr=False)


Frame = (
    Hello
    | Ready
    | Utterance
    | AgentState
    | InputAck
    | Bye
    | Welcome
    | Ack
    | Nack
    | Input
    | Stop
    | WorkerHello
    | Places
    | Started
    | Refused
    | WorkerWelcome
    | Start
)
