"""SQLite's own way of doing what every database does."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

from models.engine import CannotUse, NotAvailable, Query
from models.sqlite import backup, checks, process_lock
from models.sqlite.search import Fts5

# Set in this order. The time-out comes first: even switching to WAL may have to wait for another
# process.
_PRAGMAS: Final = {
    "busy_timeout": "5000",
    "journal_mode": "WAL",
    # An acknowledgement means "synced to disk"; NORMAL syncs only at checkpoints.
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "temp_store": "MEMORY",
    # Truncating the log to less than one checkpoint's worth makes every commit grow it again.
    "journal_size_limit": "16777216",
}
# Foreign keys are off because a rebuilt table's DROP would delete its children.
_MIGRATING: Final = {"busy_timeout": "60000", "foreign_keys": "OFF"}

# https://www.sqlite.org/rescode.html: faults of the storage, not of a statement.
_TROUBLES: Final = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "failing",
    sqlite3.SQLITE_CANTOPEN: "failing",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}


def database_url(data_dir: Path) -> str:
    """Return the URL of the SQLite database in this folder."""
    return f"sqlite://{quote(str(data_dir.absolute() / 'voxql.db'))}"


class SqliteEngine:
    """A SQLite file; see `models.engine.Engine`.

    Args:
        rest: What follows `sqlite://` in the URL: a path, and pragmas as its query.

    Raises:
        CannotUse: The URL does not name a file; the message says what is wrong.
    """

    # Its transactions take the lock of the whole database as they begin.
    locks_rows = False

    def __init__(self, rest: str) -> None:
        path, _, query = rest.partition("?")
        path = unquote(path)
        if not Path(path).name or ":memory:" in path:
            raise CannotUse(
                "VOXQL_DATABASE_URL must name a file: reader and writer are two connections, "
                "and a database in memory belongs to one."
            )
        pragmas = dict(parse_qsl(query))
        unknown = sorted(pragmas.keys() - _PRAGMAS.keys())
        if unknown:
            raise CannotUse(
                f"VOXQL_DATABASE_URL has the unknown option {unknown[0]!r}; "
                f"known are {', '.join(_PRAGMAS)}."
            )
        self.file = Path(path)
        self.search = Fts5()
        self._pragmas = pragmas

    @property
    def folder(self) -> Path:
        return self.file.parent

    def exists(self) -> bool:
        return self.file.exists()

    def check_files(self) -> None:
        checks.check_files(self.file)

    def is_full(self) -> bool:
        return checks.is_full(self.folder)

    def check_room(self) -> None:
        checks.check_room(self.file)

    def check_data(self) -> bool:
        return checks.check_database(self.file)

    def sole_process(self) -> AbstractAsyncContextManager[None]:
        return process_lock.sole_process(self.file)

    def one_of_several(self, number: int) -> AbstractAsyncContextManager[None]:
        raise CannotUse(
            "SQLite serves one process only. Several need PostgreSQL: "
            "VOXQL_DATABASE_URL=postgres://… (voxql copy-database moves the data)."
        )

    async def processes(self, conn: Any) -> set[int]:
        raise RuntimeError("Only one process uses SQLite.")

    def copy(self, target: Path) -> int:
        try:
            return backup.copy_database(self.file, target)
        except sqlite3.DatabaseError as error:
            if trouble := self.trouble_of(error):
                raise NotAvailable(trouble) from error
            raise

    def connections(self, *, is_migrating: bool = False) -> dict[str, dict[str, Any]]:
        writer = _PRAGMAS | (_MIGRATING if is_migrating else {}) | self._pragmas
        # query_only comes last: the pragmas before it must still take effect.
        reader = writer | {"query_only": "ON"}
        return {"default": self._connection(writer), "reader": self._connection(reader)}

    def _connection(self, pragmas: dict[str, str]) -> dict[str, Any]:
        credentials = {"file_path": str(self.file), **pragmas}
        return {"engine": "models.sqlite.client", "credentials": credentials}

    async def begin_migration(self, conn: Any) -> None:
        """The transaction holds the write lock already."""

    async def finish_migration(self, conn: Any) -> None:
        broken = await conn.execute_query_dict("PRAGMA foreign_key_check")
        if broken:
            tables = ", ".join(sorted({row["table"] for row in broken}))
            raise RuntimeError(f"A migration left rows without their parents in {tables}.")

    async def finish_copy(self, conn: Any, numbered: Sequence[tuple[str, str]]) -> None:
        """SQLite continues after the largest number by itself."""

    async def try_to_write(self, conn: Any) -> None:
        # SQLite reserves this number for applications; VoxQL does not use it.
        await conn.execute_script("PRAGMA user_version = 0")

    def has_changed(self, conn: Any) -> bool:
        return bool(conn.has_changed)

    def trouble_of(self, error: BaseException) -> str | None:
        seen: BaseException | None = error
        while seen is not None:
            code = getattr(seen, "sqlite_errorcode", None)
            if isinstance(seen, sqlite3.Error) and code is not None:
                return _TROUBLES.get(code & 0xFF)
            # Tortoise raises its own error while handling SQLite's, without `from`.
            seen = seen.__cause__ or seen.__context__
        return None

    async def queried(self, conn: Any, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        rows: list[list[dict[str, Any]]] = await conn.execute_together(queries)
        return rows

    def moment(self, stored: Any) -> datetime:
        # In the format that `models.sqlite.client` writes; the ORM's parser takes any ISO 8601, but
        # slowly.
        return datetime.fromisoformat(stored)
