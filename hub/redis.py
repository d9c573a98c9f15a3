"""The hub of several processes: Redis carries events to the readers in other processes.

Redis carries an event at most once: what is lost while Redis is away is found in the database
(`resolvers.lost_events`).
"""

import asyncio
import random
import secrets
import socket
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final

import redis.asyncio as redis
import structlog
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hub.events import USER_PREFIX
from hub.shared import SharedHub

log = structlog.get_logger(__name__)

PREFIX: Final = "voxql:"
"""The prefix of all channels and keys in Redis."""
ANSWERS_WITHIN_S: Final = 2.0
"""Seconds within which Redis has to answer."""
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
LOST: Final = (RedisError, OSError, TimeoutError)
# A peer that vanished without a word is noticed within ten seconds.
TCP: Final[dict[str, Any]] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): value
        for name, value in {
            "TCP_KEEPIDLE": 4,
            "TCP_KEEPINTVL": 2,
            "TCP_KEEPCNT": 3,
            "TCP_USER_TIMEOUT": 10_000,
        }.items()
        if hasattr(socket, name)
    },
}


class RedisHub(SharedHub):
    """Shares events with the other processes that use this Redis. Belongs to one event loop.

    Args:
        url: Redis's URL, as `redis.from_url` takes it.
        prefix: See `PREFIX`.
    """

    def __init__(self, url: str, *, prefix: str = PREFIX) -> None:
        super().__init__()
        self._prefix = prefix
        self._origin = secrets.token_bytes(_ORIGIN)
        self._outgoing: list[tuple[str | bytes | int, ...]] = []
        self._waiting_bytes = 0
        self._has_outgoing = asyncio.Event()
        self._has_lost = False
        """Whether events were lost that others don't know of."""
        self._topics_changed = asyncio.Event()
        self._troubles = {"listening": "not connected yet"}
        """What keeps Redis from being used, by the task that noticed it."""
        # A bad URL is refused here, at the start.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=ANSWERS_WITHIN_S,
            socket_connect_timeout=ANSWERS_WITHIN_S,
            health_check_interval=5,
            # A library that connects again by itself would hide that events were lost.
            retry=Retry(NoBackoff(), 0),
            client_name="voxql",
            **({} if url.startswith("unix:") else TCP),
        )

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
                values: list[Any] = await self._client.mget([self._channel(key) for key in keys])
        except LOST:
            return [None] * len(keys)
        return [None if value is None else value.decode() for value in values]

    # ------------------------------------------------------------------ to other processes

    def _follow(self) -> None:
        self._topics_changed.set()

    def _channel(self, topic: str) -> str:
        return self._prefix + topic

    def _send(self, topic: str, data: bytes) -> None:
        self._command("PUBLISH", self._channel(topic), self._origin + data)

    def _command(self, *command: str | bytes | int) -> None:
        self._outgoing.append(command)
        self._waiting_bytes += sum(len(part) for part in command if isinstance(part, bytes))
        if len(self._outgoing) > MOST_WAITING or self._waiting_bytes > MOST_BYTES:
            self._lose_outgoing()
        self._has_outgoing.set()

    def _lose_outgoing(self) -> None:
        self._outgoing.clear()
        self._waiting_bytes = 0
        self._has_lost = True

    async def _send_on(self, client: redis.Redis) -> None:
        """Send what waits, in one round trip for all of it, until cancelled."""
        while goes_on():
            await self._has_outgoing.wait()
            self._has_outgoing.clear()
            batch, self._outgoing, self._waiting_bytes = self._outgoing, [], 0
            if self._has_lost:
                self._has_lost = False
                batch.append(("PUBLISH", self._channel(_ALL), self._origin))
            try:
                await self._sent(client, batch)
                self._note("sending", None)
            except LOST as error:
                self._lose_outgoing()
                self._note("sending", error)
                await _pause()
                self._has_outgoing.set()

    async def _sent(self, client: redis.Redis, batch: list[Any]) -> None:
        async with (
            asyncio.timeout(ANSWERS_WITHIN_S),
            client.pipeline(transaction=False) as pipeline,
        ):
            for command in batch:
                pipeline.execute_command(*command)
            answers = await pipeline.execute(raise_on_error=False)
        for command, answer in zip(batch, answers, strict=True):
            # A full Redis refuses to keep values, but still carries events.
            if isinstance(answer, Exception) and command[0] == "PUBLISH":
                raise answer

    # ------------------------------------------------------------------ from other processes

    async def run(self) -> None:
        """See `SharedHub.run`."""
        client = self._client
        async with aclosing(client), asyncio.TaskGroup() as group:
            group.create_task(self._send_on(client))
            group.create_task(self._listen_on(client))

    async def _listen_on(self, client: redis.Redis) -> None:
        while True:
            try:
                async with client.pubsub() as pubsub:
                    await self._listen(pubsub)
            except* LOST as errors:
                self._note("listening", errors.exceptions[0])
            await _pause()

    async def _listen(self, pubsub: PubSub) -> None:
        self._topics_changed.set()
        is_open = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_topics(pubsub, is_open))
            group.create_task(self._receive(pubsub, is_open))

    async def _follow_topics(self, pubsub: PubSub, is_open: asyncio.Event) -> None:
        """Subscribe to the topics that are watched here, and to no others."""
        await pubsub.subscribe(self._channel(_ALL))
        is_open.set()
        # Not all events on the topics of users can be found in the database afterwards.
        self._lose(USER_PREFIX)
        subscribed: set[str] = set()
        while goes_on():
            await self._topics_changed.wait()
            self._topics_changed.clear()
            wanted = set(self._progress)
            if new := [self._channel(topic) for topic in wanted - subscribed]:
                await pubsub.subscribe(*new)
            if old := [self._channel(topic) for topic in subscribed - wanted]:
                await pubsub.unsubscribe(*old)
            subscribed = wanted

    async def _receive(self, pubsub: PubSub, is_open: asyncio.Event) -> None:
        await is_open.wait()
        while goes_on():
            message = await pubsub.get_message(timeout=1.0)
            self._note("listening", None)
            if message is None:
                continue
            topic = message["channel"].decode().removeprefix(self._prefix)
            if message["type"] == "subscribe" and topic in self._progress:
                self.on_fresh(topic)
            elif message["type"] == "message":
                self._take(topic, message["data"])

    def _take(self, topic: str, data: bytes) -> None:
        if data[:_ORIGIN] == self._origin:
            return
        if topic == _ALL:
            self._lose(USER_PREFIX)
            for watched in list(self._progress):
                self.on_fresh(watched)
            return
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
            log.error("redis_not_reached", task=task, error=trouble, why=str(error))


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - jitter is no secret


def goes_on() -> bool:
    """Whether this task has not been cancelled.

    Redis's client calls `asyncio.wait_for`, which may swallow the cancellation before Python 3.12.
    """
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
