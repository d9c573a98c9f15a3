"""Run the `voxql` command without waiting seconds for imports (see launcher.py)."""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, TextIO

ROOT: Final = Path(__file__).resolve().parents[2]
IS_POSSIBLE: Final = sys.platform == "linux"
FAULT: Final = "FAULT"
"""The variable that names the fault to inject into a forked server."""


class Forked:
    """A process that runs `voxql`, with the parts of `subprocess.Popen` that tests use.

    It ends when the process that created it ends.

    Args:
        arguments: The command's arguments.
        environment: The complete environment of the process.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(launcher())
        reading, writing = os.pipe()
        wish = {"arguments": arguments, "environment": dict(environment)}
        line = json.dumps(wish).encode() + b"\n"
        sent = socket.send_fds(self._connection, [line], [writing])
        self._connection.sendall(line[sent:])
        os.close(writing)
        self.stdout: TextIO = open(reading)  # noqa: SIM115 - the reader closes it
        self._answers = self._connection.makefile("r")
        self.pid = int(self._answer("pid"))
        self.returncode: int | None = None
        self._has_ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def poll(self) -> int | None:
        """Return the exit status, None while the process runs, or -N if signal N ended it."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end and return its exit status.

        Raises:
            subprocess.TimeoutExpired: When it is still running after `timeout` seconds.
        """
        if not self._has_ended.wait(timeout):
            raise subprocess.TimeoutExpired("voxql", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the process a signal unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # its end may not have been reported yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send the process SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _watch(self) -> None:
        self.returncode = int(self._answer("ended"))
        self._has_ended.set()
        self._answers.close()
        self._connection.close()

    def _answer(self, word: str) -> str:
        said, _, rest = self._answers.readline().strip().partition(" ")
        assert said == word, f"the launcher said {said!r}, not {word!r}"
        return rest


@cache
def launcher() -> str:
    """Return the launcher's socket path; this process starts one launcher for all tests."""
    folder = mkdtemp(prefix="voxql-launcher-")
    path = f"{folder}/socket"
    command = [sys.executable, "-m", "tests.programs.launcher", path]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end, process, folder)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return path


def _end(process: "subprocess.Popen[str]", folder: str) -> None:
    process.kill()
    process.wait()
    shutil.rmtree(folder)
