"""Decide which process of a test run takes which tests.

Tests that speak or drive a browser need the processor on time, so only two of them run at once, in
the first two processes. The other processes take other tests at a lower priority. The last of them
begins with the short tests, which compute most of the time, and the others with the long ones,
which mostly wait for programs: together they use what would be idle. The tests of a file stay
together, as they share what they start.
"""

import os
from contextlib import suppress
from pathlib import PurePath
from typing import Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

REAL_TIME: Final = (
    "e2e",
    "browser",
    "attach",
    "voice/transports/test_transports",
    "voice/rooms/test_livekit",
    "livekit",
    "schema/test_playground",
)
"""Path prefixes, relative to `tests`, of tests that speak in real time or drive a browser."""
LONG: Final = ("faults", "serving", "storage", "voice", "terminal")
"""Other long tests: they start and stop programs or load models."""
IN_REAL_TIME: Final = 2
"""The number of processes that take tests in real time."""
NICENESS: Final = 5
"""How far below the others' priority the background processes run.

Low enough that speech is on time. Much lower, another program that keeps a processor busy would
leave them so little of it that a wait of 20 s fails.
"""
HASTE: Final = 5
"""How far above the tests' own priority programs that carry sound run."""


def hurry(pid: int) -> None:
    """Raise the priority of a program that was just started, as sound must be on time.

    Without the permission, as for most users on their own machine, the priority stays unchanged.
    """
    with suppress(PermissionError, ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, -HASTE)


def rank(path: PurePath) -> int:
    """Return the rank of a test file: long tests run first, short ones fill the end.

    Args:
        path: Relative to the folder `tests`.
    """
    order = (*REAL_TIME, *LONG)
    fits = [place for place, start in enumerate(order) if path.as_posix().startswith(start)]
    return max(fits, default=len(order))


def lower_priority(config: pytest.Config) -> None:
    """Lower the priority of a background process and of everything it starts."""
    given = getattr(config, "workerinput", None)
    if given is not None and _is_background(given):
        os.nice(NICENESS)


class PriorityScheduling(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Distributes files by rank and keeps real-time tests out of the background processes."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = self._next(node)
        if file is None:
            return
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self.workqueue and self._next(node) is None and not node.shutting_down:
            node.shutdown()
        else:
            super()._reschedule(node)

    def _next(self, node: WorkerController) -> str | None:
        """Return the file that this process takes next."""
        if not _is_background(node.workerinput):
            return next(iter(self.workqueue), None)
        possible = [file for file in self.workqueue if not _is_real_time(file)]
        begins_with = max if _takes_short_ones(node.workerinput) else min
        return begins_with(possible, key=lambda file: rank(_place(file)), default=None)


def _is_background(worker: dict[str, Any]) -> bool:
    count: int = worker["workercount"]
    return _number(worker) >= min(IN_REAL_TIME, max(count - 1, 1))


def _takes_short_ones(worker: dict[str, Any]) -> bool:
    count: int = worker["workercount"]
    return _number(worker) == max(count - 1, IN_REAL_TIME + 1)


def _number(worker: dict[str, Any]) -> int:
    """Return a process's number; xdist names them gw0, gw1, and so on."""
    return int(worker["workerid"].removeprefix("gw"))


def _is_real_time(file: str) -> bool:
    return _place(file).as_posix().startswith(REAL_TIME)


def _place(file: str) -> PurePath:
    return PurePath(file).relative_to("tests")
