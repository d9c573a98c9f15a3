"""What every stream shares: how it begins, follows what is published, and ends.

A stream subscribes to the hub before it reads the database, so nothing is missed in between. While
it has caught up and its reader is ready, each event is delivered in the call that publishes it: an
idle stream has no task. It has one while it reads the database or waits for its reader.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from hub.events import (
    SERVER_TOPIC,
    AccessRevoked,
    OwnershipLost,
    ServerStopping,
    TranscriptEnded,
    access_topic,
    ownership_topic,
)
from hub.hub import Hub
from hub.subscription import HubSubscription, ReaderTooSlow
from models.database import reader
from models.repositories import accounts, api_tokens
from models.repositories.ownership import moved_among
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.viewer import Viewer

E = TypeVar("E")
Taken = TypeVar("Taken", contravariant=True)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Why a stream ends, and whether it makes sense to resume with the newest cursor."""

    reason: str
    may_resume: bool


TOO_SLOW: Final = StreamEnd("READER_TOO_SLOW", may_resume=True)


class Ended(Exception):
    """The stream is over, for this reason."""

    def __init__(self, reason: str) -> None:
        self.end = StreamEnd(reason, may_resume=reason == "SERVER_SHUTDOWN")


class Reader(Protocol[Taken]):
    """Where the events of a stream go."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes another event now."""

    async def until_ready(self) -> None:
        """Wait until it takes another event.

        Raises:
            ReaderTooSlow: It has taken none for too long.
        """

    def take(self, event: Taken, *, is_last: bool) -> None:
        """Take an event; the last one may come although it is not ready."""

    def drop(self) -> None:
        """Forget what was taken and is not sent yet: its viewer may not see it any more."""

    def end(self, error: Exception | None) -> None:
        """Take note that nothing more comes.

        Args:
            error: What failed; None if the stream ended in good order, after its last event.
        """


@dataclass(frozen=True, slots=True)
class Watching:
    """What streams need, and which viewer watches."""

    hub: Hub
    metrics: Metrics
    clock: Clock
    viewer: Viewer


class Stream(ABC, AsyncIterable[E], Generic[E]):
    """One subscription. `start` it once; `close` it when its reader is gone.

    Args:
        watching: Who watches.
        kind: The subscription's name, for metrics.
        topic: The topic that it follows.
        session_id: The session that it is about, if it is about one.
    """

    def __init__(
        self, watching: Watching, kind: str, topic: str, session_id: str | None = None
    ) -> None:
        self._watching = watching
        self._kind = kind
        self._topic = topic
        self._session_id = session_id
        self._open = ExitStack()
        self._task: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._is_over = False
        self._tick = -1
        self._later: asyncio.Handle | None = None
        self._reader: Reader[E]
        self._subscription: HubSubscription

    def start(self, to: Reader[E]) -> None:
        """Deliver to this reader what the stream begins with, then what is published."""
        hub, metrics, viewer = self._watching.hub, self._watching.metrics, self._watching.viewer
        topics = [self._topic, access_topic(viewer.access_id), SERVER_TOPIC]
        if self._session_id is not None:
            topics.append(ownership_topic(self._session_id, viewer.user_id))
        self._reader = to
        self._open.enter_context(metrics.watching(self._kind))
        self._subscription = self._open.enter_context(hub.subscribe(*topics))
        self._subscription.listen(self._arrived)
        if viewer.expires_at is not None:
            left = (viewer.expires_at - self._watching.clock()).total_seconds()
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(0.0, left), self._expired)
        self._play(self._first())

    def close(self) -> asyncio.Task[None] | None:
        """Deliver nothing more; return the task that is being cancelled, if there is one."""
        task, self._task = self._task, None
        self._is_over = True
        self._open.close()
        for handle in (self._expiry, self._later):
            if handle is not None:
                handle.cancel()
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            return task
        return None

    def __aiter__(self) -> AsyncIterator[E]:
        return self.events()

    async def events(self) -> AsyncGenerator[E, None]:
        """Start the stream, and yield its events; each is ready for the next when it asks."""
        pulled = _Pulled[E]()
        self.start(pulled)
        try:
            while (event := await pulled.next()) is not None:
                yield event
        finally:
            if (task := self.close()) is not None:
                await asyncio.wait([task])

    # ------------------------------------------------------------------ what a stream is about

    @abstractmethod
    def _begin(self) -> AsyncGenerator[E, None]:
        """Yield what the stream begins with.

        Raises:
            Ended: What it is about is over.
        """

    @abstractmethod
    def _follow(self, published: object) -> E | AsyncGenerator[E, None] | None:
        """Return the event for a published one, or a generator if the database must be read first.

        Raises:
            Ended: What it is about is over.
        """

    @abstractmethod
    def _last(self, end: StreamEnd) -> E:
        """Return the last event."""

    def _delivered(self) -> None:
        """Note that the newest event was handed to the reader."""

    def _check_over(self, event: E) -> None:
        """End the stream after this event, if what it is about is over.

        Raises:
            Ended: It is over.
        """

    # ------------------------------------------------------------------ the course of a stream

    async def _first(self) -> AsyncGenerator[E, None]:
        await _check_access(self._watching.viewer, self._session_id)
        async with aclosing(self._begin()) as events:
            async for event in events:
                yield event

    def _arrived(self) -> None:
        """Take what was published, unless an earlier event is still under way.

        In one turn of the loop, the first event is delivered at once. The others wait for the next
        turn, so that a flood is replaced by what is newest.
        """
        if self._task is None:
            tick = self._watching.hub.ticks.now()
            if tick != self._tick or self._subscription.urgent is not None:
                self._tick = tick
                self._drain()
            elif self._later is None:
                self._later = asyncio.get_running_loop().call_soon(self._arrived_later)
        elif self._subscription.urgent is not None:
            # Whatever is under way may take as long as the reader wants.
            self._task.cancel()
            self._task = None
            self._drain()

    def _arrived_later(self) -> None:
        self._later = None
        if self._task is None:
            self._drain()

    def _drain(self) -> None:
        try:
            while not self._is_over:
                if self._subscription.urgent is not None:
                    _check_urgent(self._subscription.urgent)
                if not self._subscription.has_more:
                    return
                if not self._reader.is_ready:
                    self._run(self._until_ready)
                    return
                published = self._subscription.take()
                found = self._follow(published)
                if isinstance(found, AsyncGenerator):
                    self._play(found)
                    return
                if found is not None:
                    self._deliver(found)
                    heard_at: float | None = getattr(published, "heard_at", None)
                    if heard_at is not None:
                        self._watching.metrics.delivered.add(time.perf_counter() - heard_at)
        except Exception as error:  # the publisher must not be hit by a reader's fault
            self._stop(error)

    def _play(self, events: AsyncGenerator[E, None]) -> None:
        self._run(partial(self._deliver_all, events))

    def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this in a task, then deliver what was published meanwhile."""
        self._task = asyncio.create_task(self._then_drain(work))

    async def _then_drain(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:
            self._task = None
            self._stop(error)
        else:
            self._task = None
            self._drain()

    async def _deliver_all(self, events: AsyncGenerator[E, None]) -> None:
        async with aclosing(events):
            async for event in events:
                await self._until_ready()
                self._deliver(event)
                if self._is_over:
                    return

    async def _until_ready(self) -> None:
        while not self._reader.is_ready:
            await self._reader.until_ready()

    def _deliver(self, event: E) -> None:
        self._check_expiry()
        self._reader.take(event, is_last=False)
        self._delivered()
        self._check_over(event)

    def _stop(self, error: Exception) -> None:
        if self._is_over:
            return
        match error:
            case Ended(end=end):
                if end.reason == "ACCESS_REVOKED":
                    self._reader.drop()
                self._finish(end)
            case ReaderTooSlow():
                self._finish(TOO_SLOW)
            case _:
                self.close()
                self._reader.end(error)

    def _finish(self, end: StreamEnd) -> None:
        self._watching.metrics.streams_ended[end.reason] += 1
        self.close()
        try:
            self._reader.take(self._last(end), is_last=True)
        except Exception as error:
            self._reader.end(error)
        else:
            self._reader.end(None)

    def _expired(self) -> None:
        self._stop(Ended("ACCESS_REVOKED"))

    def _check_expiry(self) -> None:
        # The timer may be late, if events keep the loop busy.
        expires_at = self._watching.viewer.expires_at
        if expires_at is not None and expires_at <= self._watching.clock():
            raise Ended("ACCESS_REVOKED")


class _Pulled(Generic[E]):
    """A reader that is ready when somebody asks for the next event."""

    def __init__(self) -> None:
        self._events: deque[E] = deque()
        self._error: Exception | None = None
        self._is_over = False
        self._asked = asyncio.Event()
        self._given = asyncio.Event()

    async def next(self) -> E | None:
        """Return the next event, or None at the end."""
        if not self._events and not self._is_over:
            self._given.clear()
            self._asked.set()
            await self._given.wait()
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return None

    @property
    def is_ready(self) -> bool:
        """See `Reader`."""
        return self._asked.is_set()

    async def until_ready(self) -> None:
        """See `Reader`."""
        await self._asked.wait()

    def take(self, event: E, *, is_last: bool) -> None:
        """See `Reader`."""
        self._asked.clear()
        self._events.append(event)
        self._given.set()

    def drop(self) -> None:
        """See `Reader`."""
        self._events.clear()

    def end(self, error: Exception | None) -> None:
        """See `Reader`."""
        self._error, self._is_over = error, True
        self._given.set()


def _check_urgent(event: object) -> None:
    if isinstance(event, AccessRevoked | OwnershipLost):
        raise Ended("ACCESS_REVOKED")
    if isinstance(event, ServerStopping):
        raise Ended("SERVER_SHUTDOWN")
    if isinstance(event, TranscriptEnded) and event.is_urgent:
        raise Ended(event.reason)


async def _check_access(viewer: Viewer, session_id: str | None) -> None:
    """End the stream of a viewer who lost access before the stream subscribed.

    Raises:
        Ended: The viewer lost access.
    """
    if viewer.login_id is not None:
        is_good = await accounts.login(reader(), viewer.login_id) is not None
    else:
        is_good = await api_tokens.get(reader(), viewer.access_id) is not None
    if not is_good or (session_id and await moved_among([(session_id, viewer.user_id)])):
        raise Ended("ACCESS_REVOKED")
