"""Opens and migrates the database, and provides the only way to write to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError, OperationalError
from tortoise.migrations.executor import MigrationExecutor
from tortoise.transactions import in_transaction

from models.engine import Engine, NotAvailable, NotStored, writes
from models.engines import engine_of
from models.sqlite.engine import database_url

__all__ = [
    "Connection",
    "IntegrityError",
    "NotAvailable",
    "NotStored",
    "OperationalError",
    "configuration",
    "database_url",
    "engine",
    "migrate",
    "opened",
    "processes",
    "read_trouble",
    "reader",
    "settled",
    "transact",
    "transact_later",
    "write_trouble",
]

log = structlog.get_logger(__name__)

Connection = BaseDBAsyncClient
T = TypeVar("T")

_WRITER: Final = "default"
_READER: Final = "reader"
_APP: Final = "models"

_KNOWN_FOR_S: Final = 5.0
"""A transaction stored within this time shows that the database is writable."""

_opened: list[Engine] = []
"""The engine of the database that was opened last."""
_running: set[asyncio.Task[Any]] = set()
_tries: list[asyncio.Task[None]] = []
"""The newest test transaction."""
_reads: list[asyncio.Task[Any]] = []
"""The newest test query."""


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[None]:
    """Open the writer and the reader; on exit, wait for running transactions, then close.

    Raises:
        CannotUse: The URL names no database that VoxQL can use; the message says what is wrong.
    """
    context = TortoiseContext()
    _opened[:] = [engine_of(url)]
    writes.begin()
    # Tortoise keeps its statements by table, whatever the database.
    EXECUTOR_CACHE.clear()
    with context:
        # Request tasks don't inherit this task's context variables, hence the fallback.
        await context.init(configuration(engine()), _enable_global_fallback=True)
    try:
        for alias in (_WRITER, _READER):
            await context.connections.get(alias).create_connection(with_db=True)
        yield
    finally:
        await settled()
        await context.close_connections()


def engine() -> Engine:
    """Return the engine of the open database."""
    if not _opened:
        raise RuntimeError("No database is open.")
    return _opened[0]


async def migrate(url: str) -> list[str]:
    """Migrate the tables and return the names of the migrations that were applied.

    Everything runs in one transaction that first takes the database's write lock. If several
    processes start at once, one migrates and the others wait. A killed process leaves the tables
    unchanged, never a migration that was applied but not recorded.

    Raises:
        CannotUse: The URL names no database that VoxQL can use.
        NotAvailable: The database is damaged, locked, or the like.
        RuntimeError: The database belongs to a newer version; it is left unchanged.
    """
    database = engine_of(url)
    try:
        return await _migrated(database)
    except Exception as error:
        if trouble := database.trouble_of(error):
            raise NotAvailable(trouble) from error
        raise


async def _migrated(database: Engine) -> list[str]:
    config = configuration(database, is_migrating=True)
    applied: list[str] = []

    def progress(event: str, _app: str, name: str) -> None:
        if event == "apply_done":
            applied.append(name)

    with TortoiseContext() as context:
        try:
            await context.init(config)
            await context.connections.get(_WRITER).create_connection(with_db=True)
            async with in_transaction(_WRITER) as conn:
                await database.begin_migration(conn)
                executor = MigrationExecutor(conn, config["apps"])
                # Tortoise first asks what was applied; if it fails, PostgreSQL gives up everything.
                await executor.recorder.ensure_schema(executor._schema_editor(atomic=False))
                await executor.migrate(progress=progress)
                await _check_age(executor)
                await database.finish_migration(conn)
        finally:
            await context.close_connections()
    return applied


def reader() -> Connection:
    """Return the read-only connection for `.using_db(reader())`; it never waits for a writer."""
    return get_connection(_READER)


async def transact(
    work: Callable[[Connection], Awaitable[T]],
    *,
    asked_at: float | None = None,
) -> T:
    """Run `work(conn)` in one transaction and return its result once it is on disk.

    It runs in its own task: if the caller is cancelled (a browser went away), no half transaction
    or locked connection is left behind, and the work still succeeds or fails on its own.

    Args:
        work: The work. Every statement must use the connection that is passed in. An exception
            rolls the transaction back and reaches the caller unchanged.
        asked_at: `time.monotonic()` when the caller began to wait, if before this call.

    Raises:
        NotStored: The disk is full, the file is locked, or the like; nothing was changed.
    """
    if isinstance(get_connection(_WRITER), TransactionalDBClient):
        raise RuntimeError("transact() inside transact(): hand the connection on instead.")
    asked_at = time.monotonic() if asked_at is None else asked_at
    return await asyncio.shield(_started(_transaction(work, asked_at)))


def transact_later(work: Callable[[Connection], Awaitable[object]]) -> None:
    """Start a transaction in the background; a failure only shows in the log."""
    _started(_transaction(work, time.monotonic())).add_done_callback(_log_failure)


async def write_trouble(patience: float) -> str | None:
    """Return what keeps the database from being written to, or None.

    Recent transactions give the answer. If there were none, or the newest failed, a test
    transaction is run. It stores nothing, but takes the lock, space in the log, and a sync.

    Args:
        patience: Seconds to wait; a lock that is held longer counts as trouble.
    """
    if not writes.is_known(_KNOWN_FOR_S):
        if not _tries or _tries[0].done():
            test = _transaction(engine().try_to_write, time.monotonic(), is_try=True)
            _tries[:] = [_started(test)]
        done, _ = await asyncio.wait(_tries, timeout=patience)
        if not done:
            return "locked"
        error = _tries[0].exception()
        if error is not None:
            return error.trouble if isinstance(error, NotStored) else "failing"
    return writes.trouble


async def read_trouble(patience: float) -> str | None:
    """Return `not ready` if the database does not answer within so many seconds, or None."""
    if not _reads or _reads[0].done():
        _reads[:] = [asyncio.create_task(reader().execute_query("SELECT 1"))]
    # Not cancelled: asyncpg would wait for the server before it takes the connection back.
    done, _ = await asyncio.wait(_reads, timeout=patience)
    if not done:
        return "not ready"
    if (error := _reads[0].exception()) is None:
        return None
    log.error("database_not_ready", error=type(error).__name__)
    return engine().trouble_of(error) or "not ready"


async def processes() -> set[int]:
    """Return the numbers of the server processes that use the database now.

    Raises:
        NotAvailable: The database can't be read.
    """
    return await engine().processes(reader())


async def settled() -> None:
    """Wait until all running transactions have committed or failed."""
    await asyncio.gather(*_running, return_exceptions=True)


def _started(transaction: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    # The event loop holds only weak references to tasks.
    task = asyncio.create_task(transaction)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


def _log_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, NotStored):
        log.warning("transaction_failed", error=type(error).__name__)


async def _transaction(
    work: Callable[[Connection], Awaitable[T]],
    asked_at: float,
    *,
    is_try: bool = False,
) -> T:
    try:
        writes.give_up(asked_at)
        async with in_transaction(_WRITER) as conn:
            result = await work(conn)
    except NotStored:
        raise
    except Exception as error:
        trouble = engine().trouble_of(error)
        if trouble is None:
            raise
        raise writes.failed(trouble) from error
    # A transaction without changed rows proves nothing about the disk; a test write changes no rows
    # but still counts.
    if is_try or engine().has_changed(conn):
        writes.stored()
    return result


async def _check_age(executor: MigrationExecutor) -> None:
    unknown = set(await executor.recorder.applied_migrations()) - executor.loader.graph.nodes.keys()
    if unknown:
        names = ", ".join(sorted(key.name for key in unknown))
        raise RuntimeError(
            f"This database was made by a newer version of VoxQL: it has {names}, which this one "
            "does not know. Install that version, or restore a backup from before."
        )


def configuration(database: Engine, *, is_migrating: bool = False) -> dict[str, Any]:
    """Return Tortoise's configuration for this database."""
    return {
        "connections": database.connections(is_migrating=is_migrating),
        "apps": {
            _APP: {
                "models": ["models.tables"],
                "migrations": "models.migrations",
                "default_connection": _WRITER,
            }
        },
    }


TORTOISE_ORM: Final = configuration(engine_of(database_url(Path("var"))))
"""Configuration for Tortoise's own command, which writes migrations; see models/migrations."""
