"""What PostgreSQL's errors mean, and the sentences for a database that can't be used."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from models.engine import CannotUse, NotAvailable

# https://www.postgresql.org/docs/current/errcodes-appendix.html: by code, else by class.
_TROUBLES: Final = {
    "25006": "read-only",
    "40001": "locked",  # serialization_failure
    "40P01": "locked",  # deadlock_detected
    "53000": "failing",
    "53100": "full",
    "53200": "failing",
    "53300": "unreachable",  # too_many_connections
    "55P03": "locked",  # lock_not_available
    "57014": "locked",  # query_canceled, by statement_timeout
    "XX001": "damaged",
    "XX002": "damaged",
}
_LOST: Final = {
    # asyncpg, if a server ends a connection in the moment in which it is used.
    "InternalClientError",
    # During a fail-over, none of several hosts may be the primary server.
    "TargetServerAttributeNotMatched",
}
_CLASSES: Final = {"08": "unreachable", "57": "unreachable", "58": "failing"}


@contextmanager
def noticed() -> Iterator[None]:
    """Raise `NotAvailable` if the server or its storage is at fault, and not the statement."""
    try:
        yield
    except Exception as error:
        if trouble := _trouble(error) or (error.__cause__ and _trouble(error.__cause__)):
            raise NotAvailable(trouble) from error
        raise


def trouble_of(error: BaseException) -> str | None:
    """Return what is wrong with the server or its storage; None for other errors."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, NotAvailable):
            return seen.trouble
        seen = seen.__cause__ or seen.__context__
    return None


def _trouble(error: BaseException) -> str | None:
    code = getattr(error, "sqlstate", None)
    if isinstance(code, str):
        return _TROUBLES.get(code) or _CLASSES.get(code[:2])
    if isinstance(error, (OSError, TimeoutError)):
        return "unreachable"
    name = type(error).__name__
    # asyncpg has no class of its own for a use of a connection that was lost.
    is_closed = name == "InterfaceError" and "closed" in str(error)
    return "unreachable" if is_closed or name in _LOST else None


def refusal(url: str, error: Exception) -> CannotUse:
    """Return why no connection could be made, in a sentence without the password."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or "this machine"
    name = type(error).__name__
    if name == "InvalidCatalogNameError":
        return CannotUse(
            f"PostgreSQL at {place} has no database {parts.path[1:]}. Create it: "
            f"createdb {parts.path[1:]}"
        )
    if name in ("InvalidPasswordError", "InvalidAuthorizationSpecificationError"):
        return CannotUse(
            f"PostgreSQL at {place} refuses this user or password: {error}. Correct "
            "VOXQL_DATABASE_URL."
        )
    if isinstance(error, (OSError, TimeoutError)):
        why = str(error) or "it does not answer"
        return CannotUse(
            f"PostgreSQL at {place} can't be reached: {why}. Start it, or correct "
            "VOXQL_DATABASE_URL."
        )
    return CannotUse(f"PostgreSQL at {place} can't be used: {error}.")


def of_settings(settings: dict[str, Any]) -> str | None:
    """Return why a server with these settings can't keep VoxQL's data, or None."""
    if int(settings["server_version_num"]) < 140_000:
        return f"This is PostgreSQL {settings['server_version']}; VoxQL needs 14 or newer."
    if settings["server_encoding"] != "UTF8":
        return (
            f"The database's encoding is {settings['server_encoding']}; VoxQL needs UTF8. Create "
            "another one: createdb --encoding UTF8 --template template0 …"
        )
    return None
