"""Says which server processes use a PostgreSQL database, by locks that end with their connections.

A server that shares no events excludes all others. Servers that share them exclude only such a
server, and each holds a lock with its own number. PostgreSQL frees the locks of a process that has
died or is cut off, so the locks say which processes there are: no clock is compared.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog

from models.engine import CannotUse
from models.postgres import faults

log = structlog.get_logger(__name__)

_LOCK: Final = 0x766F78716C02
"""The key of the lock that excludes servers; any number that no other program uses."""
_FREED_S: Final = 2.0
"""Seconds for the server to free the lock."""
_AGAIN_S: Final = 1.0
"""Seconds between attempts to take the lock again after the connection was lost."""
# A dead connection must not hold the lock for hours: the server asks after 10 s of silence.
_NAME: Final = "voxql lock"
_SETTINGS: Final = {
    "application_name": _NAME,
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_TAKEN: Final = (
    "Another server uses this database. Each would know only its own conversations, so the "
    "servers of one database share events through Redis: set VOXQL_REDIS_URL for all of them. Or "
    "stop the other one, or give this one a database of its own: VOXQL_DATABASE_URL=…"
)
_UNSHARED: Final = (
    "A server without VOXQL_REDIS_URL uses this database, and would not hear of this one's "
    "events. Stop it, and start it again with the same VOXQL_REDIS_URL."
)

NUMBERED: Final = 0x766F7871
"""The first key of the lock of a numbered process; the second is its number."""
PROCESSES: Final = """
SELECT objid::bigint AS number FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = ?
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_SOLE: Final = f"SELECT pg_try_advisory_lock({_LOCK})"
# If this process was cut off, the lost connection may still hold its number: then it waits.
_SHARED: Final = (
    f"SELECT CASE WHEN pg_try_advisory_lock_shared({_LOCK}) "
    f"THEN pg_advisory_lock({NUMBERED}, {{number}})::text = '' ELSE false END"
)


@asynccontextmanager
async def server_process(
    url: str, options: dict[str, Any], number: int | None, *, is_pooled: bool = False
) -> AsyncIterator[None]:
    """Hold the locks of a server process.

    PostgreSQL frees them when the connection ends, however that happens. If PostgreSQL restarts,
    they are taken again. If a server was quicker that excludes this one, this process is told to
    stop (SIGTERM).

    Args:
        url: The database's URL.
        options: Further arguments of `asyncpg.connect`.
        number: The number of a process that shares events, below 2³¹; None for a sole process.
        is_pooled: Whether the connection goes through a pooler in transaction mode.

    Raises:
        CannotUse: when a server excludes this one, or PostgreSQL can't be reached.
    """
    query = _SOLE if number is None else _SHARED.format(number=number)

    async def take() -> _Lock | None:
        return await _Lock.taken(url, options, query, is_pooled=is_pooled)

    try:
        lock = await take()
    except Exception as error:
        raise faults.refusal(url, error) from error
    if lock is None:
        raise CannotUse(_TAKEN if number is None else _UNSHARED)
    keeping = asyncio.create_task(_keep(lock, take))
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


class _Lock:
    """One connection that holds the lock."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.lost = asyncio.Event()
        connection.add_termination_listener(lambda _: self.lost.set())

    @classmethod
    async def taken(
        cls, url: str, options: dict[str, Any], query: str, *, is_pooled: bool
    ) -> "_Lock | None":
        """Take the locks of this query; return None if another connection excludes it."""
        import asyncpg

        settings = {"application_name": _NAME} if is_pooled else _SETTINGS
        connection = await asyncpg.connect(
            url, server_settings=settings, statement_cache_size=0, **options
        )
        if is_pooled:
            # A pooler keeps the connection to PostgreSQL for this client while a transaction is
            # open, and closes it if the client goes.
            await connection.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        if await connection.fetchval(query):
            return cls(connection)
        await connection.close()
        return None

    async def free(self) -> None:
        """Free the locks, so that the next server may start at once."""
        try:
            async with asyncio.timeout(_FREED_S):
                await self._connection.execute("SELECT pg_advisory_unlock_all()")
                await self._connection.close()
        except Exception:
            self._connection.terminate()


async def _keep(lock: _Lock, take: Callable[[], Awaitable[_Lock | None]]) -> None:
    try:
        while True:
            await lock.lost.wait()
            log.warning("database_lock_lost")
            while True:
                try:
                    again = await take()
                    break
                except Exception as error:
                    log.debug("database_lock_not_taken", error=type(error).__name__)
                    await asyncio.sleep(_AGAIN_S)
            if again is None:
                log.error("database_is_used_by_another_server")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            lock = again
            log.info("database_lock_taken_again")
    finally:
        await lock.free()
