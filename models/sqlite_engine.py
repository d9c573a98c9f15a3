"""Tortoise's SQLite client, with transactions that neither deadlock nor leave a lock behind."""

import os
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tortoise.backends.base.client import NestedTransactionContext, TransactionalDBClient
from tortoise.backends.sqlite.client import (
    SqliteClient,
    SqliteTransactionContext,
    SqliteTransactionWrapper,
)
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

from models.storage import writes


def _adapt(moment: datetime) -> str:
    # SQLite compares times as text, so all of them must be in one zone and of one length.
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone.")
    return moment.astimezone(UTC).isoformat(" ", "microseconds")


sqlite3.register_adapter(datetime, _adapt)


class Client(SqliteClient):
    """One connection to the database file, which only its owner can read."""

    async def create_connection(self, with_db: bool) -> None:
        """Open the file, making it and its folder first: SQLite would make it world-readable."""
        path = Path(self.filename)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives the write-ahead log and its index the mode of the database itself.
        # A file that exists is not opened: closing it would drop the locks that this process's
        # other connections hold on it (POSIX), and the next process to leave would then take
        # itself for the last one and delete the log, with every word that is written after.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        await super().create_connection(with_db)

    def _in_transaction(self) -> SqliteTransactionContext:
        return _Context(_Transaction(self), self._lock)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        """Refuse: cancelled half-way, Tortoise's own version leaves a transaction open."""
        raise RuntimeError("Rows are written in bulk inside models.database.transact() only.")


class _Transaction(SqliteTransactionWrapper):
    """What a transaction's statements run on."""

    def _in_transaction(self) -> NestedTransactionContext:
        return NestedTransactionContext(_Transaction(self))

    async def begin(self) -> None:
        # A deferred transaction that reads first and writes later fails with "database is
        # locked" when another process wrote in between, and no time-out helps it.
        await self._connection.execute("BEGIN IMMEDIATE")

    async def execute_script(self, query: str) -> None:
        # sqlite3's executescript() would first commit the transaction that it is part of.
        for statement in statements(query):
            await self.execute_query(statement)


class _Context(SqliteTransactionContext):
    """Tortoise's context, which keeps its lock for ever when BEGIN or COMMIT fails, mended."""

    __slots__ = ()

    async def __aenter__(self) -> TransactionalDBClient:
        asked_at = time.monotonic()
        await self._trxlock.acquire()
        try:
            writes.give_up(asked_at)
            await self.ensure_connection()
            await self.connection.begin()
        except sqlite3.OperationalError as error:
            self._trxlock.release()
            raise OperationalError(error) from error
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
            raise OperationalError(error) from error


def statements(script: str) -> list[str]:
    """Cut a script into its statements; a trigger's body is part of its statement."""
    found: list[str] = []
    pending = ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return [statement for statement in found if statement.strip("; \n")]


client_class = Client
