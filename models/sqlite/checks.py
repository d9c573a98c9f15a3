"""Checks the data folder, its files and the database before the server starts."""

import contextlib
import os
import shutil
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Final

from models.engine import CannotUse

PATIENCE_S: Final = 2.0
"""Seconds that the check may take; enough for about 2,000,000 utterances (docs/operations.md)."""
_AGAIN_S: Final = 0.01
"""SQLite forgets an interrupt that comes before the statement begins, so it is repeated."""
_BESIDE: Final = ("-wal", "-shm", ".lock")
"""Suffixes of the files beside the database: SQLite's WAL and its index, and the server's lock."""
LEAST_ROOM: Final = 4 * 1024 * 1024
"""Free bytes below which a disk counts as full: SQLite's WAL grows to this before a checkpoint."""


def is_full(folder: Path) -> bool:
    """Return whether the disk of this folder is full."""
    return shutil.disk_usage(folder).free < LEAST_ROOM


def check_files(database: Path) -> None:
    """Check that the database's folder and files can be read and written, or created.

    Raises:
        CannotUse: when one of them can't; the message names it and says what to do.
    """
    folder = next(each for each in database.parents if os.path.lexists(each))
    if not folder.is_dir():
        raise CannotUse(
            f"{folder} is a file, and the data can't be kept in it. Name a folder: VOXQL_DATA_DIR=…"
        )
    _check_access(folder, os.R_OK | os.W_OK | os.X_OK)
    for path in (database, *(database.with_name(database.name + end) for end in _BESIDE)):
        if os.path.lexists(path) and not path.is_file():
            raise CannotUse(
                f"{path} is no file. Move it away, or give the server a folder of its own: "
                "VOXQL_DATA_DIR=…"
            )
        if path.exists():
            _check_access(path, os.R_OK | os.W_OK)


def _check_access(path: Path, wanted: int) -> None:
    if os.access(path, wanted):
        return
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise CannotUse(
            f"{path} is on a disk that is mounted read-only. Mount it for writing, or name another "
            "folder: VOXQL_DATA_DIR=…"
        )
    mode = stat.filemode(path.stat().st_mode)
    raise CannotUse(
        f"{path} can't be read and written by this user (its mode is {mode}, its owner "
        f"{_owner(path)}). Give it to the user that runs the server (chown), or name another "
        "folder: VOXQL_DATA_DIR=…"
    )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # a user unknown to this system, as in a container
        return f"user {path.stat().st_uid}"


def check_room(path: Path) -> None:
    """Check that the disk of this file, which need not exist yet, has room.

    Raises:
        CannotUse: when the disk is full.
    """
    if is_full(next(each for each in path.parents if each.exists())):
        raise CannotUse(
            f"The disk is full: less than 4 MiB are left for {path}. Make room there, then start "
            "the server again; what is stored is safe."
        )


def check_database(path: Path, patience: float = PATIENCE_S) -> bool:
    """Check a SQLite file for damage; return whether there was time to check all of it.

    `PRAGMA quick_check` reads each page and compares it with its neighbours. It does not compare
    indexes with their tables, which takes ten times as long; `voxql backup` does that.

    Args:
        path: The file, which need not exist yet.
        patience: Seconds after which the check stops.

    Raises:
        CannotUse: when it is damaged, unreadable or no database; the message says what to do.
    """
    if not path.exists():
        return True
    with contextlib.closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        is_over = threading.Event()

        def interrupt() -> None:
            pause = patience
            while not is_over.wait(pause):
                connection.interrupt()
                pause = _AGAIN_S

        alarm = threading.Thread(target=interrupt)
        alarm.start()
        try:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise CannotUse(f"{path} can't be read: {error}.") from error
            verdict = str(error)
        except sqlite3.DatabaseError as error:
            verdict = str(error)
        finally:
            is_over.set()
            alarm.join()  # it must not interrupt a closed connection
    if verdict != "ok":
        raise CannotUse(_advice(path, verdict))
    return True


def _advice(path: Path, verdict: str) -> str:
    finding = " ".join(verdict.split())
    return (
        f"{path} is damaged ({finding}), so it is not served.\n"
        f"Go back to a backup: move {path.name}, {path.name}-wal and {path.name}-shm out of "
        f"{path.parent}, then copy the file that `voxql backup` made to {path}. "
        'docs/operations.md, "When the database is damaged", says more.'
    )
