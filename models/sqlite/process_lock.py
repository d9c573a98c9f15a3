"""Allows only one server process per SQLite file."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

from models.engine import CannotUse


def _readable_by_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextlib.asynccontextmanager
async def sole_process(database: Path) -> AsyncIterator[None]:
    """Hold the lock that keeps other servers from using the same SQLite file.

    Several processes that write to one file run into "database is locked", and each would know
    only its own conversations. The kernel frees the lock however the process ends.

    Raises:
        CannotUse: when another server holds the lock.
    """
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = database.with_name(f"{database.name}.lock")
    with open(lock, "a+", opener=_readable_by_owner) as file:  # noqa: ASYNC230 - once, at the start
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise CannotUse(
                f"Another server (process {file.read().strip() or 'unknown'}) uses {database}, "
                "and SQLite serves one process only. Stop the other one, or give this one a "
                "folder of its own: VOXQL_DATA_DIR=..."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
