"""PostgreSQL as an engine: its URL, its connections, and what its errors mean."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog

from models.engine import CannotUse, NotAvailable, Query
from models.postgres import faults, process_lock
from models.postgres.collation import compare_bytes
from models.postgres.search import TextSearch

log = structlog.get_logger(__name__)

_POOLER: Final = "pgbouncer"
_READERS: Final = 5
"""Connections for reading; each is a process of the database server."""
_CONNECT_S: Final = 10.0
"""Seconds within which a new connection must be made."""
_COMMAND_S: Final = 20.0
"""Seconds for a statement, whatever keeps it: above the time-outs that the server keeps itself."""
_SETTINGS: Final = {
    "application_name": "voxql",
    "timezone": "UTC",
    "statement_timeout": "15s",
    # As long as SQLite waits for a lock.
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
# An acknowledgement promises that the words are on disk.
_WRITER: Final = {**_SETTINGS, "synchronous_commit": "on"}
_READER: Final = {**_SETTINGS, "default_transaction_read_only": "on"}
# Another process that migrates is waited for; rebuilding an index may take long.
_MIGRATING: Final = {**_SETTINGS, "statement_timeout": "0", "lock_timeout": "60s"}
_MIGRATION_LOCK: Final = 0x766F78716C01
"""The key of the advisory lock that a migration holds; any number that no other program uses."""

_SETTINGS_OF_SERVER: Final = """
SELECT name, setting FROM pg_settings
WHERE name IN ('server_version_num', 'server_version', 'server_encoding', 'synchronous_commit',
    'fsync', 'full_page_writes')"""
_CONTINUE: Final = """
SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}
HAVING max({column}) IS NOT NULL"""


class PostgresEngine:
    """A PostgreSQL database; see `models.engine.Engine`.

    Args:
        url: As PostgreSQL's own programs take it. With the option `pgbouncer=true`, the connections
            may go through a pooler in transaction mode.

    Raises:
        CannotUse: The URL names no database.
    """

    folder = None
    locks_rows = True

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            is_named = bool(parts.path.strip("/"))
            # There may be several hosts; `port` checks one.
            _ = "," in parts.netloc or parts.port
        except ValueError as error:
            raise CannotUse(f"VOXQL_DATABASE_URL can't be read: {error}.") from error
        if not is_named:
            raise CannotUse(
                "VOXQL_DATABASE_URL must name a database, as in "
                "postgres://user:password@db.example.org/voxql."
            )
        options = parse_qsl(parts.query, keep_blank_values=True)
        self.url = urlunsplit(
            parts._replace(query=urlencode([one for one in options if one[0] != _POOLER]))
        )
        self.search = TextSearch()
        self._is_pooled = _pools(dict(options).get(_POOLER, "false"))

    def exists(self) -> bool:
        return True

    def check_files(self) -> None:
        """The server keeps the files."""

    def is_full(self) -> bool:
        return False

    def check_room(self) -> None:
        """The server's disk can't be seen from here."""

    def check_data(self) -> bool:
        return True

    def sole_process(self) -> AbstractAsyncContextManager[None]:
        return self._lock(None)

    def one_of_several(self, number: int) -> AbstractAsyncContextManager[None]:
        return self._lock(number)

    def _lock(self, number: int | None) -> AbstractAsyncContextManager[None]:
        return process_lock.server_process(
            self.url, {"timeout": _CONNECT_S}, number, is_pooled=self._is_pooled
        )

    async def processes(self, conn: Any) -> set[int]:
        rows = await conn.execute_query_dict(process_lock.PROCESSES, [process_lock.NUMBERED])
        return {row["number"] for row in rows}

    def copy(self, target: Path) -> int:
        raise CannotUse(
            "This copies SQLite databases only. PostgreSQL has its own tools: pg_dump "
            f"--format=custom --file={target.name} …"
        )

    def connections(self, *, is_migrating: bool = False) -> dict[str, dict[str, Any]]:
        writer = self._connections(1, _MIGRATING if is_migrating else _WRITER)
        return {"default": writer, "reader": self._connections(_READERS, _READER)}

    def _connections(self, most: int, settings: dict[str, str]) -> dict[str, Any]:
        options = {"timeout": _CONNECT_S, "command_timeout": _COMMAND_S}
        if settings is _MIGRATING:
            # A migration changes the types that kept statements return.
            options = {"timeout": _CONNECT_S, "statement_cache_size": 0}
        credentials = {
            "dsn": self.url,
            "most": most,
            "settings": settings,
            "options": options,
            "is_pooled": self._is_pooled,
        }
        return {"engine": "models.postgres.client", "credentials": credentials}

    async def begin_migration(self, conn: Any) -> None:
        await conn.execute_query("SELECT pg_advisory_xact_lock(?)", [_MIGRATION_LOCK])
        rows = await conn.execute_query_dict(_SETTINGS_OF_SERVER)
        settings = {row["name"]: row["setting"] for row in rows}
        if problem := faults.of_settings(settings):
            raise CannotUse(problem)
        for name in ("synchronous_commit", "fsync", "full_page_writes"):
            if settings[name] == "off":
                # VoxQL's own connections turn on the first one; the others belong to the server.
                log.warning("database_server_may_lose_commits", setting=name, value="off")

    async def finish_migration(self, conn: Any) -> None:
        await compare_bytes(conn)

    async def finish_copy(self, conn: Any, numbered: Sequence[tuple[str, str]]) -> None:
        for table, column in numbered:
            await conn.execute_query_dict(_CONTINUE.format(table=table, column=column))
        # Without statistics, the first plans of a large database are bad.
        await conn.execute_script("ANALYZE")

    async def try_to_write(self, conn: Any) -> None:
        [row] = await conn.execute_query_dict("SHOW transaction_read_only")
        if row["transaction_read_only"] == "on":
            raise NotAvailable("read-only")
        # Written to the log and synced with the commit, like a row.
        await conn.execute_query("SELECT pg_logical_emit_message(true, 'voxql', '')")

    def has_changed(self, conn: Any) -> bool:
        return bool(conn.has_changed)

    def trouble_of(self, error: BaseException) -> str | None:
        return faults.trouble_of(error)

    async def queried(self, conn: Any, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        rows: list[list[dict[str, Any]]] = await conn.execute_together(queries)
        return rows

    def moment(self, stored: Any) -> datetime:
        moment: datetime = stored
        return moment


def _pools(value: str) -> bool:
    if value not in ("true", "false"):
        raise CannotUse(f"VOXQL_DATABASE_URL: expected {_POOLER}=true, not {_POOLER}={value}.")
    return value == "true"
