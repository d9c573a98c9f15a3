"""The worker's side of its control connection: runs a conversation for each start."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from ..protocol import (
    WORKER_DIALECT,
    Frame,
    Places,
    Refused,
    Start,
    Started,
    WorkerHello,
    WorkerWelcome,
)
from ..protocol.codes import REFUSED_DRAINING, REFUSED_FULL, REFUSED_UNKNOWN_AGENT
from .link import Backoff, Line, Link

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartJob:
    """A conversation that needs an agent."""

    url: str
    """The server's address, as given to the worker."""
    session: str
    attempt: int
    agent_name: str
    bridge_token: str = field(repr=False)
    audio_token: str = field(repr=False)


class Worker:
    """Connects to the server and runs `on_start(job)` in a task for each conversation."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        agent_names: Iterable[str],
        places: int,
        on_start: Callable[[StartJob], Awaitable[None]],
        backoff: Backoff | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._names = tuple(agent_names)
        self._places = places
        self._on_start = on_start
        self._link = Link(url, WORKER_DIALECT, backoff)
        self._jobs: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._outgoing: asyncio.Queue[Frame] | None = None
        self._is_stopping = False
        self._stopped = asyncio.Event()
        self._connected = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more conversations the worker can take."""
        return 0 if self._is_stopping else max(0, self._places - len(self._jobs))

    @property
    def running(self) -> int:
        """How many conversations the worker runs."""
        return len(self._jobs)

    async def connected(self) -> None:
        """Wait until the server has welcomed this worker."""
        await self._connected.wait()

    async def run(self) -> None:
        """Serve until `stop`; cancelling it also cancels the conversations.

        Raises:
            BridgeClosed: The server rejects this worker, for example because its key is wrong.
        """
        serving = asyncio.create_task(self._link.run(self._converse))
        stopping = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        finally:
            await _cancel(serving, stopping, *self._jobs.values())

    async def stop(self, timeout: float = 10.0) -> None:
        """Take no new conversations, wait for the running ones, cancel the rest; `run` returns."""
        self._is_stopping = True
        self._report()
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()), timeout=timeout)
        await _cancel(*self._jobs.values())
        self._stopped.set()

    async def _converse(self, line: Line) -> None:
        welcome = await line.greet(WorkerHello(self._key, self._names, self.free))
        assert isinstance(welcome, WorkerWelcome)
        self._outgoing = asyncio.Queue()
        # During the hello, a conversation may have ended or `stop` been called.
        self._report()
        self._connected.set()
        try:
            await line.converse(self._read(line), self._write(line, self._outgoing))
        finally:
            self._outgoing = None
            self._connected.clear()

    async def _read(self, line: Line) -> None:
        while True:
            frame = await line.receive()
            if isinstance(frame, Start):
                self._say(self._answer(frame))
                # After the answer: the server relies on this order.
                self._report()

    async def _write(self, line: Line, outgoing: asyncio.Queue[Frame]) -> None:
        while True:
            await line.send(await outgoing.get())

    def _answer(self, start: Start) -> Frame:
        key = (start.session, start.attempt)
        if key not in self._jobs:
            if reason := self._reason_against(start):
                return Refused(*key, reason)
            job = StartJob(self._url, *key, start.agent_name, start.bridge_token, start.audio_token)
            self._jobs[key] = task = asyncio.create_task(self._work(job))
            task.add_done_callback(lambda _: self._ended(key))
        return Started(*key)

    def _reason_against(self, start: Start) -> str | None:
        if self._is_stopping:
            return REFUSED_DRAINING
        if start.agent_name not in self._names:
            return REFUSED_UNKNOWN_AGENT
        return None if self.free else REFUSED_FULL

    async def _work(self, job: StartJob) -> None:
        try:
            await self._on_start(job)
        # A conversation's fault must not end the others.
        except Exception:
            log.exception("the agent of %s failed", job.session)

    def _ended(self, key: tuple[str, int]) -> None:
        del self._jobs[key]
        self._report()

    def _report(self) -> None:
        self._say(Places(self.free))

    def _say(self, frame: Frame) -> None:
        # Nothing is kept for later: the hello of the next connection reports the places.
        if self._outgoing is not None:
            self._outgoing.put_nowait(frame)


async def _cancel(*tasks: asyncio.Task[None] | asyncio.Task[bool]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
