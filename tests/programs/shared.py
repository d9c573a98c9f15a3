"""Programs that all tests of a run share: the first test that needs one starts it.

Tests run in several processes at once. The first process to start a program records it in the run's
folder, under a lock, where the others find it. The program ends with the run.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.programs.said import Program
from tests.scheduling import hurry

GUARD: Final = Path(__file__).with_name("guard.py")
"""Runs a program until the test run has ended, even if it was killed."""
FAULT: Final = "Traceback (most recent call last)"

State = dict[str, Any]


class Shared:
    """The programs that one test run shares.

    Args:
        folder: The same for all processes of the run.
        run: The process that ends last.
    """

    def __init__(self, folder: Path, run: int) -> None:
        self.folder = folder
        self.run = run

    def once(self, name: str, start: Callable[[Path], State]) -> State:
        """Return what `start` returned in the process that called it first.

        Args:
            name: The program's name.
            start: Gets a folder of its own; returns what the other processes need, as JSON. At the
                end of the run, the process `pid` is killed and the folder `folder` deleted.

        Raises:
            AssertionError: When it did not start, here or in the process that called it first.
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
        """Return a command that runs this one and ends it when the test run is gone."""
        return [sys.executable, str(GUARD), str(self.run), *command]

    def end(self) -> None:
        """Kill everything that was started; other tests cover an orderly shutdown."""
        for path in self.folder.glob("*/state.json"):
            state = json.loads(path.read_text())
            if pid := state.get("pid"):
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            if folder := state.get("folder"):
                shutil.rmtree(folder, ignore_errors=True)

    def faults(self) -> list[str]:
        """Return the logs of shared programs that contain a traceback, from the first one on."""
        logs = {path: path.read_text(errors="replace") for path in self.folder.glob("*/log")}
        return [
            f"{path.parent.name}: {log[log.index(FAULT) :]}"
            for path, log in logs.items()
            if FAULT in log
        ]


def started(
    program: Program, command: list[str], log: Path, environment: dict[str, str]
) -> subprocess.Popen[str]:
    """Start a program that outlives this process; its output goes to a file, which is read."""
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
