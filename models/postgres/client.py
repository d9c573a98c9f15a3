"""Tortoise's PostgreSQL client, with marks like SQLite's and transactions that update the index."""

import asyncio
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import (
    NestedTransactionContext,
    PoolConnectionWrapper,
    TransactionalDBClient,
    TransactionContext,
    TransactionContextPooled,
)
from tortoise.backends.base_postgres.client import translate_exceptions
from tortoise.connection import get_connections

from models.engine import NotAvailable, NotStored, Query, writes
from models.postgres import faults
from models.postgres.search import index_due

_FREE_S: Final = 20.0
"""Seconds to wait for a free connection."""
_ROLL_BACK_S: Final = 5.0
"""Seconds for a rollback; then the connection is given up."""
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE")


@lru_cache(maxsize=1024)
def numbered(query: str) -> str:
    """Replace the marks `?` of a statement by `$1`, `$2` and so on.

    The statements of repositories have them only for values; Tortoise's own have none.
    """
    first, *rest = query.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


class _Numbered(AsyncpgDBClient):
    """Numbers the marks of each statement, and notices a server that can't be used."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        with faults.noticed():
            return await super()._translate_exceptions(func, *args, **kwargs)

    async def execute_query(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[int, list[dict[str, Any]]]:
        count, rows = await super().execute_query(numbered(query), values)
        return count, rows

    async def execute_query_dict(
        self, query: str, values: list[Any] | None = None
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await super().execute_query_dict(numbered(query), values)
        return rows

    async def execute_many(self, query: str, values: list[Any]) -> None:
        await super().execute_many(numbered(query), values)

    async def execute_together(self, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        """Run queries one after the other; return the rows of each."""
        return [await self.execute_query_dict(query, list(values)) for query, values in queries]


class _Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """A connection on which nothing lasts beyond a statement or a transaction."""

    def get_reset_query(self) -> str:
        # Otherwise the pool resets a connection after each use, in one more round trip.
        return ""


class Client(_Numbered):
    """Some connections to one database.

    Args:
        dsn: The database's URL.
        most: The largest number of connections.
        settings: Settings of PostgreSQL for these connections.
        options: Further arguments of `asyncpg.connect`.
        is_pooled: Whether the connections go through a pooler in transaction mode. It gives each
            transaction another connection to PostgreSQL, so settings and prepared statements do not
            last, and every statement is in a transaction.
        more: What Tortoise gives to every client.
    """

    def __init__(
        self,
        *,
        dsn: str,
        most: int,
        settings: dict[str, str],
        options: dict[str, Any],
        is_pooled: bool,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self._dsn = dsn
        self._most = most
        self.in_transactions = ""
        """Statements with which each transaction begins."""
        if is_pooled:
            local = [f"SET LOCAL {name} = '{value}'" for name, value in settings.items()]
            self.in_transactions = "; ".join(local)
            settings = {"application_name": settings["application_name"]}
            options = {**options, "statement_cache_size": 0}
        self._options = {**options, "server_settings": settings}

    async def create_connection(self, with_db: bool) -> None:
        """Connect.

        Raises:
            CannotUse: The server can't be reached, or refuses.
        """
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=1,
                max_size=self._most,
                connection_class=_Connection,
                **self._options,
            )
        except Exception as error:
            raise faults.refusal(self._dsn, error) from error

    async def execute_query(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[int, list[dict[str, Any]]]:
        """Run a query; return the number of rows, and the rows."""
        rows = await self._read(query, values)
        return len(rows), rows

    async def execute_query_dict(
        self, query: str, values: list[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run a query; return its rows."""
        return list(map(dict, await self._read(query, values)))

    async def _read(self, query: str, values: list[Any] | None) -> Any:
        try:
            return await self._fetch(query, values)
        except NotAvailable as error:
            if not _was_cut(error):
                raise
            return await self._fetch(query, values)

    @translate_exceptions
    async def _fetch(self, query: str, values: list[Any] | None) -> Any:
        async with self.acquire_connection() as connection:
            if not self.in_transactions:
                return list(await connection.fetch(numbered(query), *(values or ())))
            async with connection.transaction(readonly=True):
                return list(await connection.fetch(numbered(query), *(values or ())))

    async def execute_many(self, query: str, values: list[Any]) -> None:
        """Refuse, as in SQLite."""
        raise RuntimeError("Rows are written in bulk inside models.database.transact() only.")

    def acquire_connection(self) -> "_Acquired":
        """Return a context that takes a connection and gives it back."""
        return _Acquired(self, self._pool_init_lock)

    def _in_transaction(self) -> TransactionContext:
        return _Context(_Transaction(self), self._pool_init_lock)


class _Acquired(PoolConnectionWrapper[Any]):
    """Tortoise's wrapper, fixed to wait for a free connection only so long."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        await self.ensure_connection()
        self.connection = await self.client._pool.acquire(timeout=_FREE_S)
        return self.connection


class _Transaction(_Numbered, TransactionWrapper):
    """Notes whether a row was changed, and updates the search index before it commits."""

    _parent: "Client | _Transaction"

    def __init__(self, connection: "Client | _Transaction") -> None:
        super().__init__(connection)
        self._whole: _Transaction = (
            connection._whole if isinstance(connection, _Transaction) else self
        )
        """The transaction that this one is a part of; itself if it is not nested."""
        self.has_changed = False

    def _in_transaction(self) -> TransactionContext:
        return NestedTransactionContext(_Transaction(self))

    async def execute_query(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[int, list[dict[str, Any]]]:
        count, rows = await super().execute_query(query, values)
        if count and query.lstrip().upper().startswith(_CHANGES):
            self._whole.has_changed = True
        return count, rows

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        self._whole.has_changed = True
        return await super().execute_insert(query, values)

    async def execute_many(self, query: str, values: list[Any]) -> None:
        self._whole.has_changed = True
        await super().execute_many(query, values)

    async def begin(self) -> None:
        await super().begin()
        if isinstance(self._parent, Client) and self._parent.in_transactions:
            await self._connection.execute(self._parent.in_transactions)

    async def commit(self) -> None:
        if self._whole is self and self.has_changed:
            await index_due(self)
        with faults.noticed():
            await super().commit()


class _Context(TransactionContextPooled):
    """Tortoise's context, fixed to give its connection back whatever fails."""

    __slots__ = ()

    async def __aenter__(self) -> TransactionalDBClient:
        asked_at = time.monotonic()
        await self.ensure_connection()
        try:
            await self._begin(asked_at)
        except NotAvailable as error:
            if not _was_cut(error):
                raise
            await self._begin(asked_at)
        self.token = get_connections().set(self.connection_name, self.client)
        return self.client

    async def _begin(self, asked_at: float) -> None:
        pool = self.client._parent._pool
        with faults.noticed():
            connection = await pool.acquire(timeout=_FREE_S)
        try:
            writes.give_up(asked_at)
            self.client._connection = connection
            await self.client.begin()
        except NotStored:
            await pool.release(connection)
            raise
        except BaseException:
            # Otherwise asyncpg might wait for it until the network gives up.
            connection.terminate()
            await pool.release(connection)
            raise

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        client = self.client
        try:
            if exc_type is not None:
                await self._roll_back()
                return
            try:
                await client.commit()
            except BaseException:
                await self._roll_back()
                raise
        finally:
            get_connections().reset(self.token)
            await client._parent._pool.release(client._connection)

    async def _roll_back(self) -> None:
        # A lost connection can't roll back, and need not; its first error must reach the caller.
        # asyncpg might wait for it until the network gives up, for a quarter of an hour.
        try:
            async with asyncio.timeout(_ROLL_BACK_S):
                await self.client.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.client._connection.terminate()


def _was_cut(error: NotAvailable) -> bool:
    """Whether the pool's connection may have been cut since it was last used."""
    return error.trouble == "unreachable" and not isinstance(error.__cause__, TimeoutError)


client_class = Client
"""Tortoise looks for this name."""
