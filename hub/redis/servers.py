"""What the hub needs of Redis, and the Redis that is one server at a time."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

ANSWERS_WITHIN_S: Final = 2.0
"""Seconds within which Redis has to answer."""
ASKED_EVERY_S: Final = 5
"""Seconds of silence after which Redis is asked whether it is still there."""
LOST: Final = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What is raised when Redis can't be used."""

Command = tuple[str | bytes | int, ...]
"""A command, whose second part is its key or channel."""
Take = Callable[[str, str, bytes], None]
"""Takes a message's type without the `s` of sharded ones, its channel and its data."""

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
CONNECTION: Final[dict[str, Any]] = {
    "socket_timeout": ANSWERS_WITHIN_S,
    "socket_connect_timeout": ANSWERS_WITHIN_S,
    "health_check_interval": ASKED_EVERY_S,
    # A library that connects again by itself would hide that events were lost.
    "retry": Retry(NoBackoff(), 0),
    "client_name": "voxql",
}


class Listener(ABC):
    """The open connections on which subscribed messages arrive."""

    @abstractmethod
    async def subscribe(self, channels: Collection[str]) -> None:
        """Ask for the messages on these channels."""

    @abstractmethod
    async def unsubscribe(self, channels: Collection[str]) -> None:
        """Ask for no more messages on these channels."""

    @abstractmethod
    async def receive(self, take: Take, heard: Callable[[], None]) -> None:
        """Take what arrives, until Redis can't be used; `heard` is called at least every second."""


class Servers(ABC):
    """Redis, wherever it is now."""

    publish: str
    """The command that publishes."""

    @abstractmethod
    def named(self, topic: str) -> str:
        """Return a topic's part of a channel's name, or of a key."""

    @abstractmethod
    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Return the answers, errors among them, after one round trip for all commands."""

    @abstractmethod
    def listening(self) -> AbstractAsyncContextManager[Listener]:
        """Connect for messages."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close all connections."""


class OneServer(Servers):
    """One Redis server, or the one that is the master now.

    Args:
        client: Its connections lead to that server.
        others: Further connections to close, such as those to Sentinels.
    """

    publish = "PUBLISH"

    def __init__(self, client: Redis, others: Sequence[Redis] = ()) -> None:
        self._client = client
        self._others = others

    def named(self, topic: str) -> str:
        """See `Servers.named`."""
        return topic

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """See `Servers.execute`."""
        return await answers(self._client, commands)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """See `Servers.listening`."""
        async with self._client.pubsub() as pubsub:
            yield _OneListener(pubsub)

    async def aclose(self) -> None:
        """See `Servers.aclose`."""
        for client in (self._client, *self._others):
            await client.aclose()


class _OneListener(Listener):
    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    async def subscribe(self, channels: Collection[str]) -> None:
        await self._pubsub.subscribe(*channels)

    async def unsubscribe(self, channels: Collection[str]) -> None:
        await self._pubsub.unsubscribe(*channels)

    async def receive(self, take: Take, heard: Callable[[], None]) -> None:
        await receive(self._pubsub, take, heard)


async def answers(client: Redis, commands: Sequence[Command]) -> list[Any]:
    """Return a server's answers, errors among them."""
    async with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)


async def receive(pubsub: PubSub, take: Take, heard: Callable[[], None]) -> None:
    """Take what arrives on one connection; see `Listener.receive`."""
    while goes_on():
        message = await pubsub.get_message(timeout=1.0)
        if message is None:
            _check_answers(pubsub)
        heard()
        if message is not None and message["channel"] is not None:
            kind = message["type"]
            kind = kind[1:] if kind in ("smessage", "ssubscribe", "sunsubscribe") else kind
            take(kind, message["channel"].decode(), message["data"])


def _check_answers(pubsub: PubSub) -> None:
    """Give up a connection whose server answers nothing.

    The connection to a master that hangs would stay open while another server takes its place.
    """
    due: float = getattr(pubsub.connection, "next_health_check", 0)
    if due and asyncio.get_running_loop().time() > due + ANSWERS_WITHIN_S:
        raise TimeoutError("no answer to a subscribed connection")


def reason_of(error: BaseException | None) -> str:
    """Return an error's text, without how each Sentinel was asked, which may show a password."""
    what, _, tried = str(error).partition(" : ")
    return f"{what}: {tried.rpartition(')> - ')[2]}" if tried else what


def goes_on() -> bool:
    """Whether this task has not been cancelled.

    Redis's client calls `asyncio.wait_for`, which may swallow the cancellation before Python 3.12.
    """
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
