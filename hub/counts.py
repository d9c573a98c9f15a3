"""Counts that several processes share: Redis keeps them, through the library `limits`.

A count is a fixed window: it begins with its first attempt and ends by Redis's clock. `limits` can
add to it, take back and clear it, and says when it ends. Nothing can be taken back from its moving
window, which also uses the clocks of the processes, and its sliding counter can't say when the next
attempt succeeds. A fixed window allows up to twice its count across its edge. One process alone
does not: it also counts by itself, exactly (`resolvers.accounts.rate_limits`).
"""

import asyncio
import hashlib
import hmac
import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, cast

import structlog
from limits.aio.storage import RedisClusterStorage, RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hub.redis import PREFIX
from hub.redis.address import several_hosts
from hub.redis.servers import LOST, TCP, goes_on, reason_of

log = structlog.get_logger(__name__)

ANSWERS_WITHIN_S: Final = 0.5
"""Seconds within which Redis has to answer one attempt; after a failure nobody waits."""
AGAIN_S: Final = (1.0, 3.0)
"""The shortest and longest pause in seconds before Redis is asked again whether it can count."""
CONNECTIONS: Final = 16
"""Connections of one process to one Redis server; an attempt beyond that waits for one.

With Sentinels and on clusters, redis-py has limits of its own, beyond which an attempt counts as if
Redis were away.
"""

_PROBE: Final = "probe"
_PROBE_S: Final = 60
_SLOTS_PROBED: Final = 16
_PURPOSE: Final = b"rate limits\0"
"""What is hashed begins with this, so that no hash in Redis can be the signature of a token."""


class RedisCounts:
    """Counts for all processes that use this Redis. Belongs to one event loop.

    Nothing raises. While Redis can't be used, nothing is counted here, and nobody is refused.

    Args:
        url: Redis's URL; see `hub.redis.address`.
        secret: Hashes the keys, so that Redis shows nobody's e-mail or address; the same in all
            processes.
        prefix: See `hub.redis.PREFIX`.
    """

    def __init__(self, url: str, secret: str, *, prefix: str = PREFIX) -> None:
        self._secret = secret.encode()
        self._trouble = "not connected yet"
        """What keeps Redis from being used; empty if nothing does."""
        self._storage, self._open = _storage(url, f"{prefix}rate")
        # On a cluster, keys in many slots: one shard may hang while the others answer.
        is_cluster = isinstance(self._storage, RedisClusterStorage)
        self._probes = [f"{_PROBE}-{n}" for n in range(_SLOTS_PROBED if is_cluster else 1)]

    @property
    def is_reached(self) -> bool:
        """Whether Redis counts now."""
        return not self._trouble

    async def add(self, key: str, most: int, per: timedelta) -> timedelta | None:
        """Count one; if there are `most` already, don't, and return how long to wait.

        Args:
            key: What is counted, and for whom.
            most: The most that a window may count.
            per: The length of a window, rounded up to whole seconds.
        """
        if self.is_reached:
            async with self._asking():
                return await self._add(self._hidden(key), most, _seconds(per))
        return None

    async def _add(self, key: str, most: int, seconds: int) -> timedelta | None:
        if await self._storage.incr(key, seconds) <= most:
            return None
        await self._uncount(key, seconds)
        left = await self._storage.get_expiry(key) - time.time()
        # Redis rounds to the nearest second, maybe down.
        return timedelta(seconds=min(left + 0.5, seconds))

    async def _uncount(self, key: str, seconds: int) -> None:
        if await self._storage.incr(key, seconds, -1) < 0:
            # The window has ended, and a new one must not begin with less than nothing.
            await self._storage.incr(key, seconds)

    async def take_back(self, key: str, per: timedelta) -> None:
        """Uncount one."""
        if self.is_reached:
            async with self._asking():
                await self._uncount(self._hidden(key), _seconds(per))

    async def forget(self, key: str) -> None:
        """Uncount all."""
        if self.is_reached:
            async with self._asking():
                await self._storage.clear(self._hidden(key))

    async def run(self) -> None:
        """Find out every few seconds whether Redis can count, until cancelled.

        So nobody's attempt has to find out that it still can't.
        """
        try:
            while goes_on():
                async with self._asking():
                    for probe in self._probes:
                        # This writes, because a full Redis still answers what reads.
                        await self._storage.incr(probe, _PROBE_S)
                await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - jitter is no secret
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        for one in self._open:
            await one.aclose()

    def _hidden(self, key: str) -> str:
        text = _PURPOSE + key.encode(errors="surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Let Redis be asked, within the time; note whether it could be."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                yield
        except LOST as error:
            self._note(error)
        else:
            self._note(None)

    def _note(self, error: BaseException | None) -> None:
        """Log what keeps Redis from being used, if that has changed."""
        trouble = "" if error is None else type(error).__name__
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if error is None:
            log.info("rate_limits_shared")
        else:
            log.error("rate_limits_local", error=trouble, why=reason_of(error))


def _storage(url: str, prefix: str) -> tuple[RedisStorage, list[Any]]:
    """Return where this Redis counts, and what has to be closed at the end.

    Its connections are its own: events must not wait for attempts, nor attempts for events.
    `limits` reads URLs by itself and demands a port in each, so it gets connections or hosts.
    """
    common: dict[str, Any] = {"implementation": "redispy", "key_prefix": prefix}
    several = several_hosts(url)
    if several is None:
        pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            # One time-out is for all of it: `RedisCounts._asking`.
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            # Another attempt would take longer than people should wait.
            retry=Retry(NoBackoff(), 0),
            client_name="voxql",
            **({} if url.startswith("unix:") else TCP),
        )
        return RedisStorage("redis://", connection_pool=pool, **common), [pool]
    if several.kind == "sentinel":
        master, sentinels = several.master()
        pool = master.connection_pool
        return RedisStorage("redis://", connection_pool=pool, **common), [master, *sentinels]
    nodes: Any = [ClusterNode(*host) for host in several.hosts]
    options = {name: value for name, value in several.connection.items() if name != "db"}
    storage = RedisClusterStorage(
        "async+redis+cluster://", startup_nodes=nodes, **options, **common
    )
    return storage, [cast("Any", storage.bridge).storage]


def _seconds(per: timedelta) -> int:
    return math.ceil(per.total_seconds())
