"""A repeatable power cut: it keeps only what had been synced at a moment.

SIGKILL keeps the kernel's page cache, so it can't show whether a commit was synced. strace records
each write to the database's files and each sync, with times. From this record the files are rebuilt
as the disk must have held them at a given moment: with every write before the last sync that had
returned by then. SQLite then recovers from them as after a real power cut.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

SYNCS: Final = frozenset({"fsync", "fdatasync"})

_LINE: Final = re.compile(
    r"(?P<at>\d+\.\d+) (?P<call>\w+)\(\d+<(?P<path>[^>]+)>(?:, (?P<rest>.*))?\)\s+= (?P<result>\d+)"
    r" <(?P<took>\d+\.\d+)>$"
)
_WRITE: Final = re.compile(r'"(?P<data>(?:\\x[0-9a-f]{2})*)", \d+, (?P<offset>\d+)$')


def tracing(folder: Path, database: Path) -> tuple[str, ...]:
    """Return a command prefix that records another command's calls on the database's files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = (database, Path(f"{database}-wal"))
    return (
        # Stop only at these calls, not at every system call.
        *("strace", "-ff", "--seccomp-bpf", "-ttt", "-T", "-y", "-xx", "-s", "1000000", "-qq"),
        *("-e", "trace=pwrite64,ftruncate,fsync,fdatasync", "-o", str(folder / "calls")),
        *(part for file in files for part in ("-P", str(file))),
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changed or synced a file; times are those of `time.time`."""

    began: float
    ended: float
    name: str
    file: str
    data: bytes = b""
    offset: int = 0
    """The write offset, or the length the file was truncated to."""


@dataclass
class Disk:
    """A process's calls on some files, from which their state at any moment can be rebuilt."""

    calls: list[Call] = field(default_factory=list)

    @classmethod
    def traced(cls, folder: Path) -> "Disk":
        """Read the recorded calls."""
        calls = [call for path in folder.glob("calls.*") for call in _calls(path)]
        return cls(sorted(calls, key=lambda call: call.ended))

    def cut(self, moment: float, target: Path, rng: Random | None = None) -> None:
        """Write the files as a power cut at this moment would have left them.

        Without `rng`, no unsynced write has reached the disk; with it, some have.
        """
        synced: dict[str, float] = {}
        for call in self.calls:
            if call.name in SYNCS and call.ended <= moment:
                synced[call.file] = max(synced.get(call.file, 0.0), call.began)
        images: dict[str, bytearray] = {}
        for call in self.calls:
            if call.began > moment or call.name in SYNCS:
                continue
            is_safe = call.ended <= synced.get(call.file, 0.0)
            if is_safe or (rng is not None and rng.random() < 0.5):
                _apply(images.setdefault(call.file, bytearray()), call)
        for file, image in images.items():
            (target / file).write_bytes(image)


def _apply(image: bytearray, call: Call) -> None:
    if call.name == "ftruncate":
        del image[call.offset :]
        image.extend(bytes(call.offset - len(image)))
        return
    end = call.offset + len(call.data)
    image.extend(bytes(max(0, end - len(image))))
    image[call.offset : end] = call.data


def _calls(path: Path) -> Iterator[Call]:
    for line in path.read_text().splitlines():
        found = _LINE.match(line)
        if found is None:
            assert "= -1" in line or "+++" in line or "---" in line, f"not understood: {line[:200]}"
            continue
        began = float(found["at"])
        ended = began + float(found["took"])
        name, file = found["call"], _plain(found["path"]).rpartition("/")[2]
        if name == "pwrite64":
            written = _WRITE.match(found["rest"])
            assert written is not None, f"not understood: {line[:200]}"
            data = bytes.fromhex(written["data"].replace("\\x", ""))
            yield Call(
                began, ended, name, file, data[: int(found["result"])], int(written["offset"])
            )
        else:
            yield Call(began, ended, name, file, offset=int(found["rest"] or 0))


def _plain(path: str) -> str:
    """Decode a path, which `-xx` prints in hexadecimal too."""
    return bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path


def finals_in(database: Path) -> dict[str, int]:
    """Recover a database as SQLite does after a power cut; return its finals' agent revisions.

    Raises:
        sqlite3.DatabaseError: when the file is damaged.
    """
    with closing(sqlite3.connect(database)) as connection:
        [[verdict]] = connection.execute("PRAGMA integrity_check")
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        query = "SELECT key, agent_revision FROM utterances WHERE is_final"
        try:
            return dict(connection.execute(query).fetchall())
        except sqlite3.OperationalError:  # cut before the tables were made
            return {}
