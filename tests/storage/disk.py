"""A small disk for a server that a test can fill, and read access to the server's database."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any


class SmallDisk:
    """A tmpfs mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Use up all free space."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        assert shutil.disk_usage(self.folder).free == 0

    def empty(self) -> None:
        """Free the space again."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: str = "16m") -> Iterator[SmallDisk]:
    """Mount a small disk for the block, the only reliable way to test a full one."""
    folder.mkdir(parents=True)
    _as_root("mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "none", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _as_root("umount", "--lazy", str(folder))


@contextmanager
def remount_read_only(disk: SmallDisk) -> Iterator[None]:
    """Mount the disk read-only for the block."""
    _as_root("mount", "-o", "remount,ro", str(disk.folder))
    try:
        yield
    finally:
        _as_root("mount", "-o", "remount,rw", str(disk.folder))


def _as_root(*command: str) -> None:
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    done = subprocess.run([*sudo, *command], capture_output=True, text=True)
    assert done.returncode == 0, (
        f"this test needs a small disk, and `{command[0]}` failed: {done.stderr.strip()}\n"
        "Run it as root, or let this user mount with sudo (in a container: --cap-add SYS_ADMIN)."
    )


def contents(
    database: Path, without: Mapping[str, Collection[str]] = MappingProxyType({})
) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row of every table that is not derived from others, without the server.

    Args:
        database: The database file.
        without: Columns to ignore, by table.
    """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_search%' ORDER BY name"
        ).fetchall()
        found = {}
        for (name,) in tables:
            columns = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
            kept = [f'"{column}"' for (column,) in columns if column not in without.get(name, ())]
            statement = f'SELECT {", ".join(kept)} FROM "{name}" ORDER BY 1'
            found[name] = connection.execute(statement).fetchall()
        return found


def rows(database: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Query the database directly, without the server."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(statement, values).fetchall()
