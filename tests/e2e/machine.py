"""The share of the machine that these tests had, to scale time limits on a shared one."""

import os
import time
from contextlib import suppress

import psutil

LEAST = 0.2
"""Limits are stretched to five times at most, however busy the machine is."""


class Machine:
    """Measures the processor time of other programs from now on.

    Args:
        servers: processes that count as ours with all their descendants, besides this one.
    """

    def __init__(self, *servers: int) -> None:
        self._roots = [psutil.Process(server) for server in servers]
        self._began = time.monotonic()
        self._all_before, self._ours_before = _all(), self._own()

    @property
    def share(self) -> float:
        """The share of the machine that other programs have left to us."""
        whole = (time.monotonic() - self._began) * len(os.sched_getaffinity(0))
        others = (_all() - self._all_before) - (self._own() - self._ours_before)
        return min(1.0, max(LEAST, 1 - others / whole))

    def allows(self, seconds: float) -> float:
        """Return the limit that corresponds to this one on an idle machine."""
        return seconds / self.share

    def computed(self) -> float:
        """Return the processor time of our processes so far, in seconds."""
        return self._own()

    def _own(self) -> float:
        seconds = time.process_time()
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                seconds += sum(map(_taken, (root, *root.children(recursive=True))))
        return seconds


def _taken(process: psutil.Process) -> float:
    """Return the processor time of a process and of its ended children, in seconds."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _all() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
