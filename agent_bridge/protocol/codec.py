"""Frames to and from JSON, strictly: what is not in docs/bridge-protocol.md does not pass."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, get_args

from .codes import (
    FRAME_BYTES,
    FRAME_BYTES_TO_AGENT,
    LARGEST_REVISION,
    MOST_AGENT_NAMES,
    MOST_CAPABILITIES,
    MOST_PLACES,
    SECRET_LENGTH,
    CloseCode,
    NackCode,
    Role,
    Source,
    State,
)
from .frames import (
    Ack,
    AgentState,
    Bye,
    Frame,
    Hello,
    Input,
    InputAck,
    Nack,
    Places,
    Ready,
    Refused,
    Start,
    Started,
    Stop,
    Utterance,
    Welcome,
    WorkerHello,
    WorkerWelcome,
)
from .limits import Unacceptable, fault_of_utterance, read_time, write_time
from .members import FrameError, Members

Reader = Callable[[Members], Frame]

_ROLES: Final[dict[str, Role]] = {name: name for name in get_args(Role)}
_SOURCES: Final[dict[str, Source]] = {name: name for name in get_args(Source)}
_STATES: Final[dict[str, State]] = {name: name for name in get_args(State)}


def _utterance(m: Members) -> Utterance:
    # First what an answer needs, so that a fault further on can be answered instead of closing.
    segment, revision = m.key("segment"), m.integer("revision", 1, LARGEST_REVISION)
    started, ended = m.string("startedAt"), m.optional("endedAt", m.string)
    started_at, ended_at = read_time(started), read_time(ended) if ended is not None else None
    utterance = Utterance(
        segment=segment,
        revision=revision,
        role=m.choice("role", _ROLES),
        text=m.string("text"),
        final=m.boolean("final"),
        started_at=started_at or datetime.max.replace(tzinfo=UTC),
        ended_at=ended_at,
        interrupted=m.optional("interrupted", m.boolean) or False,
        confidence=m.optional("confidence", m.number),
        language=m.optional("language", m.string),
        speaker=m.optional("speaker", m.string),
        source=m.choice("source", _SOURCES) if m.has("source") else "SPEECH",
    )
    if started_at is None or (ended is not None and ended_at is None):
        name = "startedAt" if started_at is None else "endedAt"
        message = f"{name} must be an RFC 3339 time with an offset"
        raise Unacceptable(segment, revision, NackCode.BAD_TIMESTAMP, message)
    if fault := fault_of_utterance(utterance, datetime.now(UTC)):
        raise Unacceptable(segment, revision, *fault)
    return utterance


def _attempt(m: Members) -> tuple[str, int]:
    return m.key("session"), m.integer("attempt", 1, LARGEST_REVISION)


def _revision(m: Members) -> tuple[str, int]:
    return m.key("segment"), m.integer("revision", 1, LARGEST_REVISION)


def _capabilities(m: Members) -> tuple[str, ...]:
    given = m.optional("capabilities", lambda name: m.keys(name, 0, MOST_CAPABILITIES))
    return given or ()


FROM_AGENT: Final[Mapping[str, Reader]] = {
    "hello": lambda m: Hello(m.key("token", SECRET_LENGTH), _capabilities(m)),
    "ready": lambda m: Ready(),
    "utterance": _utterance,
    "agentState": lambda m: AgentState(m.choice("state", _STATES)),
    "inputAck": lambda m: InputAck(m.key("key")),
    "bye": lambda m: Bye(m.key("reason")),
}
TO_AGENT: Final[Mapping[str, Reader]] = {
    "welcome": lambda m: Welcome(*_attempt(m), m.boolean("isCurrent")),
    "ack": lambda m: Ack(*_revision(m)),
    "nack": lambda m: Nack(
        *_revision(m), m.string("code"), m.string("message"), m.boolean("terminal")
    ),
    "input": lambda m: Input(m.key("key"), m.string("text")),
    "stop": lambda m: Stop(m.string("reason")),
}
FROM_WORKER: Final[Mapping[str, Reader]] = {
    "hello": lambda m: WorkerHello(
        m.key("key", SECRET_LENGTH),
        m.keys("agentNames", 1, MOST_AGENT_NAMES),
        m.integer("places", 0, MOST_PLACES),
    ),
    "places": lambda m: Places(m.integer("free", 0, MOST_PLACES)),
    "started": lambda m: Started(*_attempt(m)),
    "refused": lambda m: Refused(*_attempt(m), m.key("reason")),
}
TO_WORKER: Final[Mapping[str, Reader]] = {
    "welcome": lambda m: WorkerWelcome(),
    "start": lambda m: Start(
        *_attempt(m),
        m.key("agentName"),
        m.key("bridgeToken", SECRET_LENGTH),
        m.key("audioToken", SECRET_LENGTH),
    ),
}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_loads: Final = json.JSONDecoder(parse_constant=_no_constant).decode
_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _is_over(limit: int, data: str) -> bool:
    # Most frames are surely not, and need not be encoded to tell.
    if len(data) * 4 <= limit:
        return False
    return len(data) > limit or len(data.encode(errors="surrogatepass")) > limit


def decode(
    readers: Mapping[str, Reader], data: str | bytes, longest: int = FRAME_BYTES
) -> Frame | None:
    """Decode one WebSocket message; None for a type that is not among the readers.

    Raises:
        FrameError: it is not a frame.
        Unacceptable: it is an utterance whose contents can't be taken.
    """
    if not isinstance(data, str):
        raise FrameError("a frame is a text message, not a binary one")
    if _is_over(longest, data):
        raise FrameError(f"a frame is at most {longest} bytes", CloseCode.TOO_BIG)
    try:
        members = _loads(data)
    # A number of 5,000 digits is a ValueError, 30,000 brackets are a RecursionError.
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame is a JSON object (RFC 8259)") from error
    if type(members) is not dict:
        raise FrameError("a frame is a JSON object, not another JSON value")
    frame_type = members.get("type")
    if type(frame_type) is not str:
        raise FrameError("a frame has a member `type`, which is a string")
    reader = readers.get(frame_type)
    return None if reader is None else reader(Members(frame_type, members))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_MEMBERS: Final[dict[type, tuple[tuple[str, str], ...]]] = {
    kind: tuple((field.name, _camel(field.name)) for field in fields(kind))
    for kind in Frame.__args__
}


def encode(frame: Frame) -> str:
    """Encode a frame; members that are None are left out.

    Raises:
        FrameError: it holds half of a surrogate pair, or is over the limit of a frame.
    """
    longest = FRAME_BYTES_TO_AGENT if isinstance(frame, Input) else FRAME_BYTES
    members: dict[str, Any] = {"type": frame.TYPE}
    for name, wire_name in _MEMBERS[type(frame)]:
        value = getattr(frame, name)
        if value is not None:
            members[wire_name] = write_time(value) if isinstance(value, datetime) else value
    data = _dumps(members)
    try:
        size = len(data.encode())
    except UnicodeEncodeError as error:
        raise FrameError(f"{frame.TYPE} holds half of a surrogate pair") from error
    if size > longest:
        message = f"{frame.TYPE} takes {size} bytes as JSON; it may take {longest}"
        raise FrameError(message, CloseCode.TOO_BIG)
    return data
