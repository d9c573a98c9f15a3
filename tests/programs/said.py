"""Read the output of programs that a test runs, and show it when the test fails."""

import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Protocol

LINES: Final = 100
"""How many of a program's newest lines are shown."""

LOOK_S: Final = 0.05
"""Seconds between two reads of a program's output file."""

_programs: "weakref.WeakSet[Program]" = weakref.WeakSet()


class Running(Protocol):
    """A process that prints into a pipe."""

    @property
    def stdout(self) -> IO[str] | None:
        """The pipe with its output."""


class Program:
    """A process whose output is read; `lines` is what it has printed since it was started."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._reader: threading.Thread | None = None
        self._has_ended = False
        self._ended_at = 0.0
        _programs.add(self)

    def listen(self, process: "Running") -> None:
        """Read the process's output in a thread until it ends."""
        self.lines.clear()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()

    def follow(self, log: Path, is_running: Callable[[], bool]) -> None:
        """Read a program's output file in a thread until the program ends."""
        self.lines.clear()
        self._has_ended = False
        self._reader = threading.Thread(target=self._follow, args=(log, is_running), daemon=True)
        self._reader.start()

    def heard_out(self, seconds: float = 10.0) -> None:
        """Wait until all output of an ended process is read."""
        if self._reader is not None:
            self._reader.join(seconds)

    def wait_until(self, is_so: Callable[[], object], seconds: float) -> None:
        """Wait until `is_so` is true, the process has ended, or the time is up."""
        with self._said:
            self._said.wait_for(lambda: is_so() or self._has_ended, seconds)

    def ran_since(self, moment: float) -> bool:
        """Whether it has run since this moment (`time.time()`)."""
        return bool(self.lines) and (not self._has_ended or self._ended_at >= moment)

    def _read(self, process: "Running") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._take(line)
        self._has_finished()

    def _follow(self, log: Path, is_running: Callable[[], bool]) -> None:
        rest = ""
        with log.open() as file:
            while True:
                was_running = is_running()
                *whole, rest = (rest + file.read()).split("\n")
                for line in whole:
                    self._take(line)
                if not was_running:
                    break
                time.sleep(LOOK_S)
        self._has_finished()

    def _take(self, line: str) -> None:
        with self._said:
            self.lines.append(line.rstrip("\n"))
            self._said.notify_all()

    def _has_finished(self) -> None:
        with self._said:
            self._has_ended = True
            self._ended_at = time.time()
            self._said.notify_all()


def said_since(moment: float) -> list[tuple[str, str]]:
    """Return the newest lines of each program that has run since this moment, by its name."""
    return [
        (program.name, "\n".join(program.lines[-LINES:]))
        for program in _programs
        if program.ran_since(moment)
    ]
