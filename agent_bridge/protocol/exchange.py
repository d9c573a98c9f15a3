"""Decides which frame may pass when, by one state machine for both sides of a connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .codec import FROM_AGENT, FROM_WORKER, TO_AGENT, TO_WORKER, FrameError, Kinds, decode, encode
from .codes import BRIDGE, FRAME_BYTES, FRAME_BYTES_TO_AGENT, WORKER
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
from .records import type_of


class Side(Enum):
    """One end of a connection; a worker counts as an agent here."""

    AGENT = "agent"
    SERVER = "server"


class Phase(Enum):
    """How far a connection has progressed."""

    HELLO = "HELLO"
    GREETING = "GREETING"
    OPEN = "OPEN"
    LEAVING = "LEAVING"


Transitions = Mapping[tuple[Phase, type[Frame]], Phase]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One subprotocol: the frames that each side reads, and which may follow which."""

    subprotocol: str
    from_agent: Kinds
    from_server: Kinds
    transitions: Transitions


def _all(phase: Phase, *kinds: type[Frame]) -> dict[tuple[Phase, type[Frame]], Phase]:
    return {(phase, kind): phase for kind in kinds}


BRIDGE_DIALECT: Final = Dialect(
    BRIDGE,
    FROM_AGENT,
    TO_AGENT,
    {
        (Phase.HELLO, Hello): Phase.GREETING,
        (Phase.GREETING, Welcome): Phase.OPEN,
        **_all(Phase.OPEN, Ready, Utterance, AgentState, InputAck, Ack, Nack, Input, Stop),
        (Phase.OPEN, Bye): Phase.LEAVING,
        **_all(Phase.LEAVING, Ack, Nack, Input, Stop),
    },
)
WORKER_DIALECT: Final = Dialect(
    WORKER,
    FROM_WORKER,
    TO_WORKER,
    {
        (Phase.HELLO, WorkerHello): Phase.GREETING,
        (Phase.GREETING, WorkerWelcome): Phase.OPEN,
        **_all(Phase.OPEN, Places, Started, Refused, Start),
    },
)
DIALECTS: Final = {dialect.subprotocol: dialect for dialect in (BRIDGE_DIALECT, WORKER_DIALECT)}


class Exchange:
    """One side's view of one connection: decodes and encodes messages, and checks their order."""

    __slots__ = ("_longest", "_readers", "_side", "_transitions", "phase")

    def __init__(self, dialect: Dialect, side: Side) -> None:
        self._side = side
        server = side is Side.SERVER
        self._longest = FRAME_BYTES if server else FRAME_BYTES_TO_AGENT
        self._readers = dialect.from_agent if server else dialect.from_server
        self._transitions = dialect.transitions
        self.phase = Phase.HELLO

    def receive(self, data: str | bytes) -> Frame | None:
        """Decode a message of the peer; None for a frame that this agent is too old to know.

        Raises:
            FrameError: The connection must be closed with its `close_code`.
            Unacceptable: Its `nack` must be sent; the connection goes on.
        """
        frame = decode(self._readers, data, self._longest)
        if frame is not None:
            self._advance(frame)
        elif self._side is Side.SERVER:
            raise FrameError("type must be one of " + ", ".join(self._readers))
        return frame

    def send(self, frame: Frame) -> str:
        """Encode a frame for the peer.

        Raises:
            FrameError: This side must not send this, or not now.
        """
        data = encode(frame)
        self._advance(frame)
        return data

    def _advance(self, frame: Frame) -> None:
        phase = self._transitions.get((self.phase, type(frame)))
        if phase is None:
            raise FrameError(f"{type_of(frame)} is out of place in the state {self.phase.value}")
        self.phase = phase
