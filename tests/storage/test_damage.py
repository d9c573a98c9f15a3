"""A damaged database file is refused at start, with advice to restore a backup."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from models.engine import CannotUse
from models.sqlite.checks import check_database
from tests.programs.server_process import ROOT

PAGE = 4096


def make_database(path: Path, sentences: int = 20_000) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE said (id INTEGER PRIMARY KEY, text TEXT)")
        texts = ((f"sentence {number} " * 10,) for number in range(sentences))
        connection.executemany("INSERT INTO said (text) VALUES (?)", texts)
        connection.commit()


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def a_page_of_noise(path: Path) -> None:
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, os.urandom(PAGE))


def pages_of_zeros(path: Path) -> None:
    """Write zeros, as a power cut does when the disk had promised more than it held."""
    overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, bytes(8 * PAGE))


def half_of_it(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def no_header(path: Path) -> None:
    overwrite(path, 0, b"these are not the first bytes of a database")


@pytest.mark.parametrize("damage", [a_page_of_noise, pages_of_zeros, half_of_it, no_header])
def test_damage_is_found(tmp_path: Path, damage: object) -> None:
    """Damage is found anywhere; the message names the file, the fault and what to do."""
    path = tmp_path / "voxql.db"
    make_database(path)
    assert callable(damage)
    damage(path)
    damaged = path.read_bytes()

    with pytest.raises(CannotUse) as refused:
        check_database(path)

    assert str(path) in str(refused.value)
    assert "voxql backup" in str(refused.value)
    assert "docs/operations.md" in str(refused.value)
    assert path.read_bytes() == damaged


def test_a_sound_database_passes(tmp_path: Path) -> None:
    """A missing file passes too."""
    make_database(tmp_path / "voxql.db")

    assert check_database(tmp_path / "voxql.db")
    assert check_database(tmp_path / "none.db")


def test_the_check_ends_when_its_time_is_up(tmp_path: Path) -> None:
    """A start never waits long, however large the file; an unfinished check is no error."""
    path = tmp_path / "voxql.db"
    make_database(path, sentences=200_000)
    assert not check_database(path, patience=0.001)


@pytest.mark.parametrize("command", [["migrate"], ["backup", "copy.db"], ["user", "list"]])
def test_commands_say_that_a_database_is_damaged(tmp_path: Path, command: list[str]) -> None:
    """They end with status 1 and a sentence, and leave the file as it is."""
    make_database(tmp_path / "voxql.db", sentences=100)
    no_header(tmp_path / "voxql.db")
    damaged = (tmp_path / "voxql.db").read_bytes()

    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), *command],
        env={**os.environ, "VOXQL_DATA_DIR": str(tmp_path), "VOXQL_AGENT": "none"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert "voxql: The database can't be used: its file is damaged, so restore a" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "voxql.db").read_bytes() == damaged


def test_the_server_refuses_a_damaged_database(tmp_path: Path) -> None:
    """The server exits with status 1 and advice, without a traceback; the file is unchanged."""
    make_database(tmp_path / "voxql.db")
    a_page_of_noise(tmp_path / "voxql.db")
    damaged = (tmp_path / "voxql.db").read_bytes()

    done = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "serve"],
        env={
            **os.environ,
            "VOXQL_DATA_DIR": str(tmp_path),
            "VOXQL_PORT": "0",
            "VOXQL_AGENT": "none",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1
    assert f"voxql: {tmp_path}/voxql.db is damaged" in done.stderr
    assert "Go back to a backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "voxql.db").read_bytes() == damaged
