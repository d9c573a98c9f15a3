"""Starts, observes and ends the servers under measurement."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

ROOT: Final = Path(__file__).resolve().parents[2]
ENDS_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used, in its own code and in the kernel."""
        # psutil counts in hundredths of a second, Linux's scheduler in nanoseconds.
        tasks = list(Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"))
        if tasks:
            return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Return the bytes of its unshared memory."""
        try:
            return int(self.process.memory_full_info().uss)
        except psutil.AccessDenied:
            return int(self.process.memory_info().rss)


@dataclass(frozen=True, slots=True)
class Together:
    """Several servers that share the work."""

    servers: Sequence[Served]

    def cpu_s(self) -> float:
        """Return the CPU seconds that all of them have used."""
        return sum(server.cpu_s() for server in self.servers)


def cpu_of_all(process: psutil.Process) -> float:
    """Return the CPU seconds that a process and its running children have used."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


@contextmanager
def served(
    kind: Literal["voxql", "bare", "watched"],
    folder: Path,
    database_url: str = "",
    redis_url: str = "",
) -> Iterator[Served]:
    """Start a server and end it afterwards, whatever happens in between.

    Args:
        kind: See `bench.equipment.server`.
        folder: The data folder.
        database_url: The database, if it is not the one in the folder.
        redis_url: The Redis of one of several servers.
    """
    ours = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    if database_url:
        ours["VOXQL_DATABASE_URL"] = database_url
    if redis_url:
        ours["VOXQL_REDIS_URL"] = redis_url
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.equipment.server", kind, str(folder)],
        cwd=ROOT,
        env=ours,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        word, _, port = process.stdout.readline().decode().partition(" ")
        if word != "open":
            raise RuntimeError(f"The server ({kind}) did not start; see above.")
        yield Served(int(port), psutil.Process(process.pid))
    finally:
        process.stdin.close()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _is_setting(name: str) -> bool:
    return name.startswith(("VOXQL_", "LIVEKIT_"))
