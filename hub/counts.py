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
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from limits.aio.storage import RedisClusterStorage, RedisSentinelStorage, RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hub.redis import PREFIX
from hub.redis.servers import LOST, TCP, goes_on

log = structlog.get_logger(__name__)

ANSWERS_WITHIN_S: Final = 0.5
"""Seconds within which Redis has to answer; people wait that long at most."""
AGAIN_S: Final = (1.0, 3.0)
"""The shortest and longest pause in seconds before Redis is asked again whether it can count."""
CONNECTIONS: Final = 16
"""Connections to Redis of one process; an attempt beyond that waits for one."""

_PROBE: Final = "probe"
_PROBE_S: Final = 60
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
        self._storage = _storage(url, f"{prefix}rate")

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
        await self._storage.incr(key, seconds, -1)
        left = await self._storage.get_expiry(key) - time.time()
        # Redis rounds to the nearest second, maybe down.
        return timedelta(seconds=min(left + 0.5, seconds))

    async def take_back(self, key: str, per: timedelta) -> None:
        """Uncount one."""
        if self.is_reached:
            async with self._asking():
                await self._storage.incr(self._hidden(key), _seconds(per), -1)

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
                    # This writes, because a full Redis still answers what reads.
                    await self._storage.incr(_PROBE, _PROBE_S)
                await asyncio.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - jitter is no secret
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        bridge: Any = self._storage.bridge
        sentinel = getattr(bridge, "sentinel", None)
        for client in (bridge.storage, *(sentinel.sentinels if sentinel else ())):
            await client.aclose()
        # A client does not close a pool that it was given.
        if (pool := getattr(bridge.storage, "connection_pool", None)) is not None:
            await pool.aclose()

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
            log.error("rate_limits_local", error=trouble, why=str(error))


def _storage(url: str, prefix: str) -> RedisStorage:
    """Return where this Redis counts; it has connections of its own.

    Events must not wait for attempts, nor attempts for events.
    """
    scheme, _, rest = url.partition("://")
    plain, _, kind = scheme.partition("+")
    # One time-out is for all of it: `RedisCounts._asking`. Another attempt would take longer than
    # people should wait.
    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "client_name": "voxql"}
    common: dict[str, Any] = {"implementation": "redispy", "key_prefix": prefix}
    if kind:
        return _spread_storage(kind, plain, rest, common | options | TCP)
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_timeout=None,
        socket_connect_timeout=None,
        **options,
        **({} if plain == "unix" else TCP),
    )
    # `limits` reads URLs by itself unless they are empty, and refuses those without a port.
    return RedisStorage("redis://", **common, connection_pool=pool)  # type: ignore[arg-type] # it is documented, but not typed


def _spread_storage(kind: str, plain: str, rest: str, options: dict[str, Any]) -> RedisStorage:
    """Return where Redis counts behind Sentinels, or on a cluster."""
    place, _, query = rest.partition("?")
    hosts, *path = place.split("/")
    # `limits` knows neither rediss+…, nor a database, nor options in a URL.
    given: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if plain == "rediss":
        given["ssl"] = True
    if kind == "cluster":
        return RedisClusterStorage(f"async+redis+cluster://{hosts}", **options, **given)
    own = {name: given.pop(name) or None for name in list(given) if name.startswith("sentinel_")}
    to_sentinels = {name.removeprefix("sentinel_"): value for name, value in own.items()}
    if len(path) > 1 and path[1]:
        options["db"] = int(path[1])
    return RedisSentinelStorage(
        f"async+redis+sentinel://{hosts}/{path[0]}",
        # A replica may be behind.
        use_replicas=False,
        sentinel_kwargs=given | to_sentinels,
        **options,
        **given,
    )


def _seconds(per: timedelta) -> int:
    return math.ceil(per.total_seconds())
