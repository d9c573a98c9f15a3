"""What the programs that a test ran have printed, to be shown when it fails."""

import time
import weakref
from typing import Final

LINES: Final = 100
"""The newest of each program that are shown."""

_programs: "weakref.WeakSet[Program]" = weakref.WeakSet()


class Program:
    """A process whose output is read; `lines` is what it has printed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self._ended_at: float | None = None
        _programs.add(self)

    def note_end(self) -> None:
        """Say that it has printed its last line."""
        self._ended_at = time.time()

    def ran_since(self, moment: float) -> bool:
        """Whether it has run since this moment (`time.time()`)."""
        return bool(self.lines) and (self._ended_at is None or self._ended_at >= moment)


def said_since(moment: float) -> list[tuple[str, str]]:
    """Return the newest lines of each program that has run since this moment, by its name."""
    return [
        (program.name, "\n".join(program.lines[-LINES:]))
        for program in _programs
        if program.ran_since(moment)
    ]
