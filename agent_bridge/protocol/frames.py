"""Defines the frames of docs/bridge-protocol.md; no other code says what they contain."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from .codes import (
    KEY_LENGTH,
    LANGUAGE_LENGTH,
    LARGEST_REVISION,
    MOST_AGENT_NAMES,
    MOST_CAPABILITIES,
    MOST_PLACES,
    SECRET_LENGTH,
    Role,
    Source,
    State,
)
from .records import SECRET, SENT, Record, number, schema, text, texts

Key = Annotated[str, text(KEY_LENGTH)]
Secret = Annotated[str, text(SECRET_LENGTH), SECRET]
Words = Annotated[str, SECRET]
Count = Annotated[int, number(1, LARGEST_REVISION)]
PlaceCount = Annotated[int, number(0, MOST_PLACES)]
Moment = Annotated[datetime, Meta(tz=True)]


class Hello(Record, frozen=True, tag="hello"):
    """Agent to server, the first frame: who the agent is."""

    token: Secret
    capabilities: Annotated[tuple[Key, ...], texts(0, MOST_CAPABILITIES)] = ()


class Ready(Record, frozen=True, tag="ready"):
    """Agent to server: the agent can hear and answer."""


class Utterance(Record, frozen=True, kw_only=True, tag="utterance"):
    """Agent to server: an interim or final utterance. Times are aware datetimes."""

    segment: Key
    revision: Annotated[Count, SENT] = 0
    """Grows within the segment, from 1. If it is 0, the client counts by itself."""
    role: Role
    text: Annotated[Words, schema(minLength=1)]
    """The whole text so far, never a delta."""
    final: bool
    started_at: Moment
    ended_at: Moment | None = None
    interrupted: bool = False
    confidence: Annotated[float | None, schema(minimum=0, maximum=1)] = None
    """From 0 to 1."""
    language: Annotated[str | None, schema(maxLength=LANGUAGE_LENGTH)] = None
    speaker: Annotated[str | None, SECRET, schema(maxLength=KEY_LENGTH)] = None
    source: Source = "SPEECH"


class AgentState(Record, frozen=True, tag="agentState"):
    """Agent to server: what the agent is doing."""

    state: State


class InputAck(Record, frozen=True, tag="inputAck"):
    """Agent to server: this typed line has been handled."""

    key: Key


class Bye(Record, frozen=True, tag="bye"):
    """Agent to server, the last frame: the agent leaves."""

    reason: Key


class Welcome(Record, frozen=True, tag="welcome"):
    """Server to agent: the token is valid."""

    session: Key
    attempt: Count
    is_current: bool


class Ack(Record, frozen=True, tag="ack"):
    """Server to agent: this utterance is settled. A final is committed and synced to disk."""

    segment: Key
    revision: Count


class Nack(Record, frozen=True, tag="nack"):
    """Server to agent: the utterance was rejected; send it again later unless `terminal`."""

    segment: Key
    revision: Count
    code: str
    message: str
    terminal: bool


class Input(Record, frozen=True, tag="input"):
    """Server to agent: the person typed this."""

    key: Key
    text: Words


class Stop(Record, frozen=True, tag="stop"):
    """Server to agent: finish, send what is pending, say bye."""

    reason: str


class WorkerHello(Record, frozen=True, tag="hello"):
    """Worker to server, the first frame: who the worker is and what it can run."""

    key: Secret
    agent_names: Annotated[tuple[Key, ...], texts(1, MOST_AGENT_NAMES)]
    places: PlaceCount


class Places(Record, frozen=True, tag="places"):
    """Worker to server: how many more conversations it can take now."""

    free: PlaceCount


class Started(Record, frozen=True, tag="started"):
    """Worker to server: the start is accepted, and the agent is connecting."""

    session: Key
    attempt: Count


class Refused(Record, frozen=True, tag="refused"):
    """Worker to server: the start is declined."""

    session: Key
    attempt: Count
    reason: Key


class WorkerWelcome(Record, frozen=True, tag="welcome"):
    """Server to worker: the key is valid."""


class Start(Record, frozen=True, tag="start"):
    """Server to worker: join this conversation."""

    session: Key
    attempt: Count
    agent_name: Key
    bridge_token: Secret
    audio_token: Secret


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
