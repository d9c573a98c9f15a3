"""The hub of several processes: Redis carries events to the readers in other processes.

Redis carries an event at most once: what is lost while Redis is away is found in the database
(`resolvers.lost_events`).
"""

import asyncio
import random
import secrets
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import structlog

from hub.events import USER_PREFIX
from hub.redis.address import servers_at
from hub.redis.servers import ANSWERS_WITHIN_S, LOST, Command, Listener, goes_on, reason_of
from hub.shared import SharedHub

log = structlog.get_logger(__name__)

PREFIX: Final = "voxql:"
"""The prefix of all channels and keys in Redis."""
MOST_WAITING: Final = 10_000
"""Commands that may wait for Redis; events beyond that are lost."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""Bytes of the events that may wait for Redis."""
AGAIN_S: Final = (0.1, 2.0)
"""The shortest and longest pause in seconds before another attempt to reach Redis."""
RETAINED_S: Final = 24 * 3600
"""Seconds for which a retained value is kept after it was last set."""

_ALL: Final = "all"
"""The topic on which processes tell each other that they have lost events."""
_ORIGIN: Final = 8
"""Bytes that name the sender of a message; each process ignores its own."""


class RedisHub(SharedHub):
    """Shares events with the other processes that use this Redis. Belongs to one event loop.

    Args:
        url: Redis's URL; see `hub.redis.address`.
        prefix: See `PREFIX`.
    """

    def __init__(self, url: str, *, prefix: str = PREFIX) -> None:
        super().__init__()
        self._prefix = prefix
        self._origin = secrets.token_bytes(_ORIGIN)
        self._outgoing: list[Command] = []
        self._waiting_bytes = 0
        self._has_outgoing = asyncio.Event()
        self._has_lost = False
        """Whether events were lost that others don't know of."""
        self._topics_changed = asyncio.Event()
        self._subscribed: dict[str, str] = {}
        """The topics of the channels that are subscribed to."""
        self._troubles = {"listening": "not connected yet"}
        """What keeps Redis from being used, by the task that noticed it."""
        # A bad URL is refused here, at the start.
        self._servers = servers_at(url)

    # ------------------------------------------------------------------ for this process

    @property
    def kind(self) -> str:
        """See `Hub.kind`."""
        return "redis"

    @property
    def condition(self) -> str:
        """See `Hub.condition`: `delayed` while Redis can't be used."""
        return "delayed" if self._troubles else "ready"

    def retain(self, key: str, value: str | None) -> None:
        """Keep a volatile value where every process can read it; None deletes it."""
        if value is None:
            self._command("DEL", self._channel(key))
        else:
            self._command("SET", self._channel(key), value, "EX", RETAINED_S)

    async def retained(self, keys: Sequence[str]) -> list[str | None]:
        """Return what is kept under these keys; None also if Redis can't be asked now."""
        if not keys:
            return []
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                answers = await self._servers.execute([("GET", self._channel(key)) for key in keys])
        except LOST:
            return [None] * len(keys)
        return [answer.decode() if isinstance(answer, bytes) else None for answer in answers]

    # ------------------------------------------------------------------ to other processes

    def _follow(self) -> None:
        self._topics_changed.set()

    def _channel(self, topic: str) -> str:
        return self._prefix + self._servers.named(topic)

    def _send(self, topic: str, data: bytes) -> None:
        self._command(self._servers.publish, self._channel(topic), self._origin + data)

    def _command(self, *command: str | bytes | int) -> None:
        self._outgoing.append(command)
        self._waiting_bytes += sum(len(part) for part in command if isinstance(part, bytes))
        if len(self._outgoing) > MOST_WAITING or self._waiting_bytes > MOST_BYTES:
            self._lose_outgoing()
        self._has_outgoing.set()

    def _lose_outgoing(self, batch: Sequence[Command] = ()) -> None:
        """Note that what waits is lost, and so are the events of this batch."""
        self.carried.lost += self._events_in(batch) + self._events_in(self._outgoing)
        self._outgoing.clear()
        self._waiting_bytes = 0
        self._has_lost = True

    def _events_in(self, commands: Sequence[Command]) -> int:
        return sum(command[0] == self._servers.publish for command in commands)

    async def _send_on(self) -> None:
        """Send what waits, in one round trip for all of it, until cancelled."""
        while goes_on():
            await self._has_outgoing.wait()
            self._has_outgoing.clear()
            batch, self._outgoing, self._waiting_bytes = self._outgoing, [], 0
            told: list[Command] = []
            if self._has_lost:
                self._has_lost = False
                told.append((self._servers.publish, self._channel(_ALL), self._origin))
            try:
                await self._sent([*batch, *told])
                self.carried.sent += self._events_in(batch)
                self._note("sending", None)
            except Exception as error:  # a task boundary: a fault must not end the hub
                if not isinstance(error, LOST):
                    log.exception("hub_failed", task="sending")
                self._lose_outgoing(batch)
                self._note("sending", error)
                await _pause()
                self._has_outgoing.set()

    async def _sent(self, batch: Sequence[Command]) -> None:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            answers = await self._servers.execute(batch)
        for command, answer in zip(batch, answers, strict=True):
            # A full Redis refuses to keep values, but still carries events.
            if isinstance(answer, Exception) and command[0] == self._servers.publish:
                raise answer

    # ------------------------------------------------------------------ from other processes

    async def run(self) -> None:
        """See `SharedHub.run`."""
        async with aclosing(self._servers), asyncio.TaskGroup() as group:
            group.create_task(self._send_on())
            group.create_task(self._listen_on())

    async def _listen_on(self) -> None:
        # Not `goes_on()`: in Python 3.11 a task group leaves its task cancelling after an error.
        while True:
            try:
                async with self._servers.listening() as listener:
                    await self._listen(listener)
            except* LOST as errors:
                self._note("listening", errors.exceptions[0])
            except* Exception as errors:  # a task boundary: a fault must not end the hub
                log.exception("hub_failed", task="listening")
                self._note("listening", errors.exceptions[0])
            await _pause()

    async def _listen(self, listener: Listener) -> None:
        self._topics_changed.set()
        self._subscribed = {self._channel(_ALL): _ALL}
        await listener.subscribe(self._subscribed)
        # Not all events on the topics of users can be found in the database afterwards.
        self._lose(USER_PREFIX)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_topics(listener))
            group.create_task(
                listener.receive(self._received, lambda: self._note("listening", None))
            )

    async def _follow_topics(self, listener: Listener) -> None:
        """Subscribe to the topics that are watched here, and to no others."""
        while goes_on():
            await self._topics_changed.wait()
            self._topics_changed.clear()
            wanted = {self._channel(topic): topic for topic in (*self._progress, _ALL)}
            before, self._subscribed = self._subscribed, wanted
            if new := wanted.keys() - before.keys():
                await listener.subscribe(new)
            if old := before.keys() - wanted.keys():
                await listener.unsubscribe(old)

    def _received(self, kind: str, channel: str, data: bytes) -> None:
        topic = self._subscribed.get(channel)
        if topic is None:
            return  # it has just been left
        if kind == "subscribe" and topic in self._progress:
            self.on_fresh(topic)
        elif kind == "message":
            self._take(topic, data)

    def _take(self, topic: str, data: bytes) -> None:
        if data[:_ORIGIN] == self._origin:
            return
        if topic == _ALL:
            self._lose(USER_PREFIX)
            for watched in list(self._progress):
                self.on_fresh(watched)
            return
        self.carried.received += 1
        self._arrived(topic, data[_ORIGIN:])

    def _note(self, task: str, error: BaseException | None) -> None:
        """Log what keeps Redis from being used, if that has changed."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        trouble = "" if error is None else type(error).__name__
        if trouble == self._troubles.get(task, ""):
            return
        if error is None:
            del self._troubles[task]
            log.info("redis_reached", task=task)
        else:
            self._troubles[task] = trouble
            log.error("redis_not_reached", task=task, error=trouble, why=reason_of(error))


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - jitter is no secret
