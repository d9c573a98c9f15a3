"""Chooses the database's engine by its URL."""

from models.engine import CannotUse, Engine
from models.postgres.engine import PostgresEngine
from models.sqlite.engine import SqliteEngine


def engine_of(url: str) -> Engine:
    """Return the engine for this URL.

    Raises:
        CannotUse: The URL names no database that VoxQL can use; the message says what is wrong.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in ("postgres", "postgresql"):
        return PostgresEngine(url)
    if separator and scheme == "sqlite":
        return SqliteEngine(rest)
    raise CannotUse(
        "VOXQL_DATABASE_URL must look like sqlite:///path/to/voxql.db or "
        f"postgres://user:password@host/voxql, and this one begins with {scheme[:20]!r}."
    )
