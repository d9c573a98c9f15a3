"""Programs that all tests of a run share: the first test that wants one starts it, once.

Tests run in several processes beside each other. What one of them has started is written down in
the folder of the run, under a lock; the others find it there. The program ends with the run.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.said import Program
from tests.scheduling import hurry

GUARD: Final = Path(__file__).with_name("guard.py")
"""Runs a program until the run of tests has ended, however that ends."""
FAULT: Final = "Traceback (most recent call last)"

State = dict[str, Any]


class Shared:
    """What is shared in one run.

    Args:
        folder: the same for all processes of the run.
        run: the process that ends last.
    """

    def __init__(self, folder: Path, run: int) -> None:
        self.folder = folder
        self.run = run

    def once(self, name: str, start: Callable[[Path], State]) -> State:
        """Return what `start` returned in the process that was first.

        Args:
            name: what it is known by.
            start: is given a folder of its own; returns what the others need, as JSON.

        Raises:
            AssertionError: it did not start, here or in the process that was first.
        """
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        state = place / "state.json"
        with _locked(place / "lock"):
            if not state.exists():
                try:
                    found = start(place)
                except AssertionError as error:
                    found = {"failed": str(error)}
                state.write_text(json.dumps(found))
        known: State = json.loads(state.read_text())
        assert "failed" not in known, f"{name} did not start:\n{known['failed']}"
        return known

    def guarded(self, *command: str) -> list[str]:
        """Return a command that runs this one, and ends it when the run of tests is gone."""
        return [sys.executable, str(GUARD), str(self.run), *command]

    def end(self) -> None:
        """End all that was started, by force; how programs end in good order has its own tests."""
        for state in self.folder.glob("*/state.json"):
            if pid := json.loads(state.read_text()).get("pid"):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def faults(self) -> list[str]:
        """Return the logs of shared programs that have a traceback, from the first one on."""
        logs = {path: path.read_text(errors="replace") for path in self.folder.glob("*/log")}
        return [
            f"{path.parent.name}: {log[log.index(FAULT) :]}"
            for path, log in logs.items()
            if FAULT in log
        ]


def started(
    program: Program, command: list[str], log: Path, environment: dict[str, str]
) -> subprocess.Popen[str]:
    """Start a program that outlives this process; what it prints goes to a file, and is read."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    hurry(process.pid)
    program.follow(log, lambda: process.poll() is None)
    return process


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
