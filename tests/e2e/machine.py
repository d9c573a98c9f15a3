"""How much of the machine these tests had, so that limits of time can be held on a shared one."""

import os
import time
from contextlib import suppress

import psutil

LEAST = 0.2
"""However busy others are, limits are stretched to five times at most."""


class Machine:
    """Watches from now on what other programs compute.

    Args:
        servers: the processes whose whole families are ours, beside this one.
    """

    def __init__(self, *servers: int) -> None:
        self._roots = [psutil.Process(server) for server in servers]
        self._began = time.monotonic()
        self._all_before, self._ours_before = _all(), self._own()

    @property
    def share(self) -> float:
        """The part of the machine that others left to us since the beginning."""
        whole = (time.monotonic() - self._began) * len(os.sched_getaffinity(0))
        others = (_all() - self._all_before) - (self._own() - self._ours_before)
        return min(1.0, max(LEAST, 1 - others / whole))

    def allows(self, seconds: float) -> float:
        """Return the limit that stands for this one on a machine with nothing else to do."""
        return seconds / self.share

    def computed(self) -> float:
        """Return the seconds of processor time that our processes have taken until now."""
        return self._own()

    def _own(self) -> float:
        seconds = time.process_time()
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                seconds += sum(map(_taken, (root, *root.children(recursive=True))))
        return seconds


def _taken(process: psutil.Process) -> float:
    """Return its seconds of processor time, and those of its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _all() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
