"""A server with unusable files names the file and the remedy, and exits with status 1."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs.server_process import ServerProcess
from tests.storage.disk import remount_read_only, small_disk

NO_PRIVILEGES = ("setpriv", "--bounding-set=-all") if os.geteuid() == 0 else ()
"""Root may write everywhere; dropping its capabilities makes it an ordinary user."""


def refused(data_dir: Path, **environment: str) -> str:
    """Start a server that must fail; return its output."""
    server = ServerProcess(data_dir, **environment)
    server.prefix = NO_PRIVILEGES
    with pytest.raises(AssertionError):
        server.start()
    said = "\n".join(server.lines)
    assert server.process.wait(10) == 1, said
    assert "Traceback" not in said
    return said


def began(data_dir: Path) -> None:
    """Leave a database that has been used."""
    server = ServerProcess(data_dir).start()
    assert server.stop() == 0


def a_file(path: Path) -> None:
    path.write_text("not a folder")


def a_folder_of_somebody_elses(path: Path) -> None:
    began(path)
    path.chmod(0o500)


def a_database_that_is_a_folder(path: Path) -> None:
    (path / "voxql.db").mkdir(parents=True)


def a_database_that_may_only_be_read(path: Path) -> None:
    began(path)
    (path / "voxql.db").chmod(0o400)


def a_log_that_may_not_be_read(path: Path) -> None:
    began(path)
    (path / "voxql.db-wal").touch()
    (path / "voxql.db-wal").chmod(0)


def a_key_that_is_no_text(path: Path) -> None:
    path.mkdir()
    (path / "worker.key").write_bytes(b"\xff\xfe" * 40)


def a_key_that_may_not_be_read(path: Path) -> None:
    path.mkdir()
    (path / "worker.key").touch(mode=0)


@pytest.mark.parametrize(
    ("spoil", "named", "why"),
    [
        (a_file, "data", "is a file"),
        (a_folder_of_somebody_elses, "data", "can't be read and written by this user"),
        (a_database_that_is_a_folder, "data/voxql.db", "is no file"),
        (a_database_that_may_only_be_read, "data/voxql.db", "can't be read and written"),
        (a_log_that_may_not_be_read, "data/voxql.db-wal", "can't be read and written"),
        (a_key_that_is_no_text, "data/worker.key", "holds no usable key"),
        (a_key_that_may_not_be_read, "data/worker.key", "can't be read or made"),
    ],
)
def test_a_start_with_files_that_can_not_be_used(
    tmp_path: Path, spoil: Callable[[Path], None], named: str, why: str
) -> None:
    """The message names the file at fault."""
    spoil(tmp_path / "data")

    said = refused(tmp_path / "data", VOXQL_AGENT="external")

    sentence = next(line for line in said.splitlines() if line.startswith("voxql: "))
    assert f"{tmp_path / named} {why}" in sentence


def test_a_start_below_a_file(tmp_path: Path) -> None:
    """The data folder can't be created below a file."""
    a_file(tmp_path / "file")

    assert f"{tmp_path / 'file'} is a file" in refused(tmp_path / "file" / "data")


def test_a_start_on_a_disk_that_is_mounted_read_only(tmp_path: Path) -> None:
    """The server names the read-only disk, and starts once the disk is writable."""
    with small_disk(tmp_path / "disk") as disk:
        folder = disk.folder / "data"
        began(folder)
        with remount_read_only(disk):
            assert f"{folder} is on a disk that is mounted read-only" in refused(folder)
        began(folder)
