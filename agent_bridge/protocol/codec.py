"""Encodes and decodes frames as JSON, strictly as docs/bridge-protocol.md says."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final, NoReturn, cast

from msgspec.structs import replace

from .codes import FRAME_BYTES, FRAME_BYTES_TO_AGENT, CloseCode, NackCode
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
from .limits import RFC_3339, Unacceptable, fault_of_utterance, read_time, write_time
from .records import MemberFault, Record, by_type, fault_of, members_of, read, type_of

Kinds = Mapping[str, type[Record]]
"""The kinds of frames that one side reads, by `type`."""

FROM_AGENT: Final = by_type(Hello, Ready, Utterance, AgentState, InputAck, Bye)
TO_AGENT: Final = by_type(Welcome, Ack, Nack, Input, Stop)
FROM_WORKER: Final = by_type(WorkerHello, Places, Started, Refused)
TO_WORKER: Final = by_type(WorkerWelcome, Start)

_TIMES: Final = {"startedAt": "started_at", "endedAt": "ended_at"}
_ANY_TIME: Final = "2026-01-01T00:00:00Z"
_MICROSECONDS: Final = len("2026-01-01T00:00:00.000000Z")
"""Characters of the longest UTC time that msgspec reads as we do; it rounds nanoseconds."""


class FrameError(ValueError):
    """The peer broke the protocol; close the connection with `close_code`.

    The message says what was expected, never what a member held, because it is logged.
    """

    def __init__(self, message: str, close_code: CloseCode = CloseCode.BAD_FRAME) -> None:
        super().__init__(message)
        self.close_code = close_code


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_loads: Final = json.JSONDecoder(parse_constant=_no_constant).decode
_dumps: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def decode(kinds: Kinds, data: str | bytes, longest: int = FRAME_BYTES) -> Frame | None:
    """Decode one WebSocket message; None if its type is not among these kinds.

    Raises:
        FrameError: It is not a frame.
        Unacceptable: It is an utterance whose contents can't be accepted.
    """
    if not isinstance(data, str):
        raise FrameError("a frame is a text message, not a binary one")
    # Most frames are certainly short enough, and need not be encoded to find out.
    if len(data) * 4 > longest and (
        len(data) > longest or len(data.encode(errors="surrogatepass")) > longest
    ):
        raise FrameError(f"a frame is at most {longest} bytes", CloseCode.TOO_BIG)
    try:
        members = _loads(data)
    # A number of 5,000 digits raises ValueError, 30,000 brackets raise RecursionError.
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame is a JSON object (RFC 8259)") from error
    if type(members) is not dict:
        raise FrameError("a frame is a JSON object, not another JSON value")
    frame_type = members.get("type")
    if type(frame_type) is not str:
        raise FrameError("a frame has a member `type`, which is a string")
    kind = kinds.get(frame_type)
    if kind is None:
        return None
    try:
        frame = _utterance(members) if kind is Utterance else read(kind, members)
    except MemberFault as fault:
        raise FrameError(str(fault)) from None
    return cast(Frame, frame)


def _utterance(members: dict[str, Any]) -> Utterance:
    try:
        utterance = read(Utterance, members)
    except MemberFault as malformed:
        bad = {name for name in _TIMES if _is_no_time(members.get(name))}
        if malformed.name not in bad:
            raise
        # A malformed member closes the connection, but a bad time alone gets a nack.
        utterance = read(Utterance, members | dict.fromkeys(bad, _ANY_TIME))
    if utterance.confidence is not None and not isfinite(utterance.confidence):
        raise fault_of(Utterance, "confidence", members)
    for name, attribute in _TIMES.items():
        written = members.get(name)
        if written is None:
            continue
        if len(written) > _MICROSECONDS and (moment := read_time(written)):
            utterance = replace(utterance, **{attribute: moment})
        elif RFC_3339.fullmatch(written) is None or _is_no_time(written):
            message = f"{name} must be an RFC 3339 time with an offset"
            raise _unacceptable(utterance, NackCode.BAD_TIMESTAMP, message)
    if fault := fault_of_utterance(utterance, datetime.now(UTC)):
        raise _unacceptable(utterance, *fault)
    return utterance


def _is_no_time(value: object) -> bool:
    """Whether this is a string that is not a time."""
    return isinstance(value, str) and read_time(value) is None


def _unacceptable(utterance: Utterance, code: NackCode, message: str) -> Unacceptable:
    return Unacceptable(utterance.segment, utterance.revision, code, message)


def encode(frame: Frame) -> str:
    """Encode a frame; members that are None are left out.

    Raises:
        FrameError: It contains half of a surrogate pair, or exceeds the frame limit.
    """
    longest = FRAME_BYTES_TO_AGENT if isinstance(frame, Input) else FRAME_BYTES
    data = _dumps(members_of(frame, write_time))
    try:
        size = len(data.encode())
    except UnicodeEncodeError as error:
        raise FrameError(f"{type_of(frame)} holds half of a surrogate pair") from error
    if size > longest:
        message = f"{type_of(frame)} takes {size} bytes as JSON; it may take {longest}"
        raise FrameError(message, CloseCode.TOO_BIG)
    return data
