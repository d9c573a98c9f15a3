"""A backup is complete or absent."""

import contextlib
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from models.sqlite.backup import copy_database


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "voxql.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
        connection.execute("INSERT INTO pairs VALUES (0, 0)")
        connection.commit()
    return path


def test_a_copy_is_consistent_while_somebody_writes(database: Path, tmp_path: Path) -> None:
    """No copy has only one of two rows that are always written together."""
    done = threading.Event()

    def write() -> None:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
            number = 0
            while not done.is_set():
                number += 1
                connection.execute("INSERT INTO pairs VALUES (?, 0)", (number,))
                connection.execute("UPDATE pairs SET b = ? WHERE a = ?", (number, number))
                connection.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            copy_database(database, tmp_path / f"copy-{number}")
    finally:
        done.set()
        writer.join()

    for number in range(5):
        with contextlib.closing(sqlite3.connect(tmp_path / f"copy-{number}")) as copy:
            torn = copy.execute("SELECT count(*) FROM pairs WHERE a <> b").fetchone()
            assert torn == (0,)


def test_a_copy_is_one_file_that_only_its_user_can_read(database: Path, tmp_path: Path) -> None:
    """It contains people's words; no other file is left next to it."""
    folder = tmp_path / "backups"
    folder.mkdir()

    size = copy_database(database, folder / "one.db")

    assert [path.name for path in folder.iterdir()] == ["one.db"]
    assert (folder / "one.db").stat().st_size == size
    assert stat.S_IMODE((folder / "one.db").stat().st_mode) == 0o600


def test_a_file_that_exists_is_left_as_it_is(database: Path, tmp_path: Path) -> None:
    """Today's backup must not overwrite yesterday's."""
    target = tmp_path / "kept"
    target.write_text("precious")

    with pytest.raises(FileExistsError, match="was left as it is"):
        copy_database(database, target)

    assert target.read_text() == "precious"


def test_no_database_is_no_backup(tmp_path: Path) -> None:
    """SQLite would create an empty database, whose backup would look valid."""
    with pytest.raises(FileNotFoundError, match="no database"):
        copy_database(tmp_path / "voxql.db", tmp_path / "copy")

    assert list(tmp_path.iterdir()) == []
