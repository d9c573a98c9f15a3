"""Chooses the database's engine by its URL."""

from models.engine import CannotUse, Engine
from models.sqlite.engine import SqliteEngine


def engine_of(url: str) -> Engine:
    """Return the engine for this URL.

    Raises:
        CannotUse: The URL names no database that VoxQL can use; the message says what is wrong.
    """
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgres", "postgresql", "asyncpg", "psycopg"):
        raise CannotUse(
            "VOXQL_DATABASE_URL names a PostgreSQL database, which this version cannot use yet: "
            "give a SQLite file, as in sqlite:///var/lib/voxql/voxql.db."
        )
    if scheme != "sqlite" or not separator:
        raise CannotUse(
            "VOXQL_DATABASE_URL must look like sqlite:///path/to/voxql.db, "
            f"and this one begins with {scheme[:20]!r}."
        )
    return SqliteEngine(rest)
