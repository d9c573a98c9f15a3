"""Tracks the workers connected to this process, and chooses which one runs an agent."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from agent_bridge.protocol import Refused, Start
from agent_bridge.protocol.codes import (
    REFUSED_DRAINING,
    REFUSED_FULL,
    START_SECONDS,
)
from hub.events import Event
from hub.hub import Hub

log = structlog.get_logger(__name__)


class NoAgent(Exception):
    """No agent can be asked for now; the message is shown to the person."""


class NoWorker(NoAgent):
    """No connected worker runs this agent."""


class NoFreePlace(NoAgent):
    """Every worker that runs this agent is full."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A request for an agent in this session."""

    session: str
    attempt: int
    agent_name: str
    bridge_token: str = field(repr=False)
    audio_token: str = field(repr=False)
    room: str = ""
    """The room of the media, if media does not meet on this server."""

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the request in a worker's answer."""
        return self.session, self.attempt

    def frame(self) -> Start:
        """Return the frame that a worker gets."""
        return Start(
            self.session, self.attempt, self.agent_name, self.bridge_token, self.audio_token
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A start that a worker has not answered yet."""

    request: StartRequest
    timer: asyncio.TimerHandle
    tried: "frozenset[ConnectedWorker]"
    """The workers asked so far, this one included: a start never goes round in circles."""


@dataclass(eq=False, slots=True)
class ConnectedWorker:
    """One worker: what it reported, and the starts that it has not answered."""

    names: frozenset[str]
    reported: int
    """The free places of its last report."""
    send: Callable[[Start], None]
    waiting: dict[tuple[str, int], _Asked] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """How many more starts it can take; see "Counting places" in docs/bridge-protocol.md."""
        return max(0, self.reported - len(self.waiting))


class StartUnplaced(Event, frozen=True):
    """A start was refused, or lost with its worker, and no other worker can take it."""

    session_id: str
    attempt: int
    reason: str


class Workers:
    """The registry of connected workers; belongs to one event loop.

    Args:
        hub: Emits `StartUnplaced`.
        start_seconds: How long a worker may take to answer a start.
    """

    def __init__(self, hub: Hub, *, start_seconds: float = START_SECONDS) -> None:
        self._hub = hub
        self._start_seconds = start_seconds
        self._workers: dict[ConnectedWorker, None] = {}

    @property
    def is_ready(self) -> bool:
        """Whether any worker is connected, full or not."""
        return bool(self._workers)

    def names(self) -> set[str]:
        """Return every agent that a connected worker runs."""
        return {name for worker in self._workers for name in worker.names}

    def free(self, agent_name: str) -> int:
        """Return the number of free places for this agent."""
        return sum(worker.free for worker in self._with(agent_name))

    def start(self, request: StartRequest) -> None:
        """Ask the worker with the most free places; returns before it has answered.

        Raises:
            NoWorker: No connected worker runs this agent.
            NoFreePlace: Every worker that runs this agent is full.
        """
        if not any(self._with(request.agent_name)):
            raise NoWorker(f"No worker that runs the agent “{request.agent_name}” is connected.")
        if any(request.key in worker.waiting for worker in self._workers):
            return
        if not self._place(request, frozenset()):
            raise NoFreePlace(
                "Every agent is in a conversation just now. Please try again in a moment."
            )

    def add(self, worker: ConnectedWorker) -> None:
        """Add a worker that has just been welcomed."""
        self._workers[worker] = None

    def remove(self, worker: ConnectedWorker) -> None:
        """Remove a worker whose connection ended; its unanswered starts go to others."""
        self._workers.pop(worker, None)
        for key in list(worker.waiting):
            self._move(worker, key, "DISCONNECTED")

    def places(self, worker: ConnectedWorker, free: int) -> None:
        """Note a worker's report of its free places."""
        worker.reported = free

    def started(self, worker: ConnectedWorker, key: tuple[str, int]) -> None:
        """Note that a worker has accepted a start."""
        asked = worker.waiting.pop(key, None)
        if asked is not None:
            asked.timer.cancel()
            worker.reported -= 1

    def refused(self, worker: ConnectedWorker, answer: Refused) -> None:
        """Note that a worker has refused a start, and ask another."""
        if answer.reason in (REFUSED_FULL, REFUSED_DRAINING):
            worker.reported = 0
        self._move(worker, (answer.session, answer.attempt), answer.reason)

    def _with(self, agent_name: str) -> Iterable[ConnectedWorker]:
        return (worker for worker in self._workers if agent_name in worker.names)

    def _place(self, request: StartRequest, tried: frozenset[ConnectedWorker]) -> bool:
        able = [w for w in self._with(request.agent_name) if w.free and w not in tried]
        if not able:
            return False
        worker = max(able, key=lambda candidate: candidate.free)
        timer = asyncio.get_running_loop().call_later(
            self._start_seconds, self._unanswered, worker, request.key
        )
        worker.waiting[request.key] = _Asked(request, timer, tried | {worker})
        worker.send(request.frame())
        return True

    def _unanswered(self, worker: ConnectedWorker, key: tuple[str, int]) -> None:
        # A worker that does not answer is not asked again before its next report.
        worker.reported = 0
        self._move(worker, key, "NO_ANSWER")

    def _move(self, worker: ConnectedWorker, key: tuple[str, int], reason: str) -> None:
        asked = worker.waiting.pop(key, None)
        if asked is None:
            return
        asked.timer.cancel()
        placed = self._place(asked.request, asked.tried)
        log.info(
            "start moved" if placed else "start unplaced",
            session=asked.request.session,
            attempt=asked.request.attempt,
            reason=reason,
        )
        if not placed:
            request = asked.request
            self._hub.emit(StartUnplaced(request.session, request.attempt, reason))
