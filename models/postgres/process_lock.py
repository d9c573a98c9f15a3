"""Allows only one server process per PostgreSQL database, until servers share events."""

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
"""The key of the advisory lock that a server holds; any number that no other program uses."""
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
    "servers of one database need Redis, which this version cannot use yet. Stop the other one, "
    "or give this one a database of its own: VOXQL_DATABASE_URL=…"
)


@asynccontextmanager
async def sole_process(
    url: str, options: dict[str, Any], *, is_pooled: bool = False
) -> AsyncIterator[None]:
    """Hold a lock that keeps other servers from using the same database.

    PostgreSQL frees it when the connection ends, however that happens. If PostgreSQL restarts, the
    lock is taken again. If another server was quicker, this process is told to stop (SIGTERM).

    Args:
        url: The database's URL.
        options: Further arguments of `asyncpg.connect`.
        is_pooled: Whether the connection goes through a pooler in transaction mode.

    Raises:
        CannotUse: when another server holds the lock, or PostgreSQL can't be reached.
    """

    async def take() -> _Lock | None:
        return await _Lock.taken(url, options, is_pooled=is_pooled)

    try:
        lock = await take()
    except Exception as error:
        raise faults.refusal(url, error) from error
    if lock is None:
        raise CannotUse(_TAKEN)
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
    async def taken(cls, url: str, options: dict[str, Any], *, is_pooled: bool) -> "_Lock | None":
        """Take the lock; return None if another connection has it."""
        import asyncpg

        settings = {"application_name": _NAME} if is_pooled else _SETTINGS
        connection = await asyncpg.connect(
            url, server_settings=settings, statement_cache_size=0, **options
        )
        if is_pooled:
            # A pooler keeps the connection to PostgreSQL for this client while a transaction is
            # open, and closes it if the client goes.
            await connection.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            return cls(connection)
        await connection.close()
        return None

    async def free(self) -> None:
        """Free the lock, so that the next server may start at once."""
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
