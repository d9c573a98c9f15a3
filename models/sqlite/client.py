"""Tortoise's SQLite client, with transactions that neither deadlock nor leave a lock behind."""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from tortoise.backends.base.client import (
    ConnectionWrapper,
    NestedTransactionContext,
    TransactionalDBClient,
)
from tortoise.backends.sqlite.client import (
    SqliteClient,
    SqliteTransactionContext,
    SqliteTransactionWrapper,
    translate_exceptions,
)
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError, OperationalError, TransactionManagementError

from models.engine import Query, writes
from models.sqlite.search import with_tokens
from models.turns import Turns

T = TypeVar("T")
_Step = Callable[[sqlite3.Connection], object]
FEW: Final = 500
"""A bulk write of up to this many rows waits for the next statement; a larger one runs at once."""


def _adapt(moment: datetime) -> str:
    # SQLite compares times as text, so all must have the same time zone and length.
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone.")
    return moment.astimezone(UTC).isoformat(" ", "microseconds")


sqlite3.register_adapter(datetime, _adapt)


class Client(SqliteClient):
    """One connection to the database file, which only its owner can read."""

    has_changed = False
    """See `_Transaction`."""

    async def create_connection(self, with_db: bool) -> None:
        """Open the file, creating it and its folder first: SQLite would make it world-readable."""
        path = Path(self.filename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the write-ahead log and its index the mode of the database. An existing file
        # is not opened here: closing it would drop the locks of this process's other connections
        # (POSIX). The next process to exit would then believe it is the last one and delete the
        # log, with every later write.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        await super().create_connection(with_db)
        # On the connection's own thread, like everything else.
        raw: Any = self._connection
        await raw._execute(with_tokens, raw._conn)

    def _in_transaction(self) -> SqliteTransactionContext:
        return _Context(_Transaction(self), self._lock)

    async def execute_together(self, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        """Run queries one after the other; return the rows of each."""
        return [await self.execute_query_dict(query, list(values)) for query, values in queries]

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        """Refuse: if cancelled, Tortoise's own version leaves a transaction open."""
        raise RuntimeError("Rows are written in bulk inside models.database.transact() only.")


class _Transaction(SqliteTransactionWrapper):
    """Runs a transaction's statements.

    Each round trip to SQLite's thread waits for its turn, and under load that takes longer than the
    statement. So BEGIN goes along with the first statement, and bulk-written rows go along with the
    next statement or with COMMIT.
    """

    def __init__(self, connection: SqliteClient) -> None:
        super().__init__(connection)
        self._due: deque[_Step] = (
            connection._due if isinstance(connection, _Transaction) else deque()
        )
        """Steps to run before the next statement; each is removed once it has run."""
        self._changes_before = 0
        self.has_changed = False
        """Whether the transaction changed a row; set when it is committed."""

    def _in_transaction(self) -> NestedTransactionContext:
        return NestedTransactionContext(_Transaction(self))

    def acquire_connection(self) -> "_CaughtUp":
        return _CaughtUp(self._lock, self)

    async def begin(self) -> None:
        self._due.append(self._begin)

    def _begin(self, raw: sqlite3.Connection) -> None:
        self._changes_before = raw.total_changes
        # A deferred transaction that reads first and writes later fails with "database is locked"
        # if another process wrote in between, and no time-out helps.
        raw.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        if self._finalized:
            raise TransactionManagementError("The transaction has ended already.")
        changes = await self.run(_committed)
        self.has_changed = changes > self._changes_before
        self._finalized = True

    async def rollback(self) -> None:
        # Replaced, not cleared: SQLite's thread may still work on a cancelled step, and takes from
        # the old queue.
        self._due = deque()
        await super().rollback()

    async def savepoint(self) -> None:
        await self.run(_nothing)
        await super().savepoint()

    async def savepoint_rollback(self) -> None:
        await self.run(_nothing)
        await super().savepoint_rollback()

    async def release_savepoint(self) -> None:
        await self.run(_nothing)
        await super().release_savepoint()

    async def run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        execute: Any = self._connection._execute
        result: T = await execute(_in_turn, self._connection, self._due, step)
        return result

    @translate_exceptions
    async def execute_query(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[int, Sequence[Any]]:
        async with self._lock:
            return await self.run(partial(_counted, query, values or ()))

    @translate_exceptions
    async def execute_query_dict(
        self, query: str, values: list[Any] | None = None
    ) -> list[dict[str, Any]]:
        async with self._lock:
            _, rows = await self.run(partial(_counted, query, values or ()))
        return list(map(dict, rows))

    @translate_exceptions
    async def execute_together(self, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        """Run queries in one round trip to SQLite's thread; return the rows of each."""
        async with self._lock:
            found = await self.run(partial(_fetched, queries))
        return [list(map(dict, rows)) async for rows in Turns().of(found)]

    @translate_exceptions
    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        step = partial(_write, query, values)
        if len(values) <= FEW:
            self._due.append(step)
            return
        async with self._lock:
            await self.run(step)

    async def execute_script(self, query: str) -> None:
        # sqlite3's executescript() would first commit the current transaction.
        for statement in statements(query):
            await self.execute_query(statement)


class _Context(SqliteTransactionContext):
    """Tortoise's context, fixed to release its lock when BEGIN or COMMIT fails."""

    __slots__ = ()

    async def __aenter__(self) -> TransactionalDBClient:
        asked_at = time.monotonic()
        await self._trxlock.acquire()
        try:
            writes.give_up(asked_at)
            await self.ensure_connection()
            await self.connection.begin()
        except BaseException:
            self._trxlock.release()
            raise
        self.token = get_connections().set(self.connection_name, self.connection)
        transaction: TransactionalDBClient = self.connection
        return transaction

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        try:
            if exc_type is None:
                await self._commit()
            else:
                await self.connection.rollback()
        finally:
            get_connections().reset(self.token)
            self._trxlock.release()

    async def _commit(self) -> None:
        try:
            await self.connection.commit()
        except sqlite3.Error as error:
            # A failed COMMIT (a full disk, say) leaves the transaction open.
            await self.connection.rollback()
            is_refused = isinstance(error, sqlite3.IntegrityError)
            raise (IntegrityError if is_refused else OperationalError)(error) from error


class _CaughtUp(ConnectionWrapper[Any]):
    """Acquires the connection after running the transaction's pending steps."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        connection = await super().__aenter__()
        try:
            assert isinstance(self.client, _Transaction)
            await self.client.run(_nothing)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return connection


# Functions that run in SQLite's thread.


def _in_turn(connection: Any, due: deque[_Step], step: Callable[[sqlite3.Connection], T]) -> T:
    raw: sqlite3.Connection = connection._conn
    while due:
        due[0](raw)
        # Removed only once it has worked: after a failed BEGIN, the rest must not run without a
        # transaction.
        due.popleft()
    return step(raw)


def _committed(raw: sqlite3.Connection) -> int:
    raw.commit()
    return raw.total_changes


def _counted(
    query: str, values: Sequence[Any], raw: sqlite3.Connection
) -> tuple[int, Sequence[Any]]:
    before = raw.total_changes
    rows = raw.execute(query, values).fetchall()
    return (raw.total_changes - before) or len(rows), rows


def _fetched(queries: Sequence[Query], raw: sqlite3.Connection) -> list[list[Any]]:
    return [raw.execute(query, values).fetchall() for query, values in queries]


def _write(query: str, values: list[list[Any]], raw: sqlite3.Connection) -> None:
    raw.executemany(query, values)


def _nothing(_: sqlite3.Connection) -> None:
    pass


def statements(script: str) -> list[str]:
    """Split a script into its statements; a trigger's body is part of its statement."""
    found: list[str] = []
    pending = ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return [statement for statement in found if statement.strip("; \n")]


client_class = Client
