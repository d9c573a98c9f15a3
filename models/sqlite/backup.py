"""Makes a consistent copy of the database while the server writes to it."""

import contextlib
import os
import sqlite3
from pathlib import Path


def copy_database(database: Path, target: Path) -> int:
    """Copy a SQLite database with its online backup; return the copy's size in bytes.

    The copy is written and checked beside the target, then linked to it: an existing target is
    never touched, and a new one is complete and on disk.

    Raises:
        FileNotFoundError: when there is no database to copy.
        FileExistsError: when the target exists.
    """
    if not database.exists():
        raise FileNotFoundError(f"There is no database at {database} yet.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent} to put the copy into.")
    if target.exists():
        raise FileExistsError(f"{target} exists already; it was left as it is.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            contextlib.closing(sqlite3.connect(database)) as source,
            contextlib.closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy)
            # The copied pages say WAL; reset the mode, so that the backup is one file.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise OSError(f"The copy of {database} is damaged: {verdict}")
        _sync(draft)
        try:
            os.link(draft, target)
        except FileExistsError:
            raise FileExistsError(f"{target} exists already; it was left as it is.") from None
    finally:
        draft.unlink(missing_ok=True)
    _sync(target.parent)
    return target.stat().st_size


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
