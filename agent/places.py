"""Which jobs have a place with a worker: from when one is accepted until its conversation ends."""

import logging
from typing import Final

log = logging.getLogger(__name__)

_OFFERED_BELOW: Final = 0.7
"""The load from which on a LiveKit server offers a worker nothing, whatever the worker says about
itself: `agents.target_load` of its configuration, by default."""


class Places:
    """A number of places; to be changed from one loop, and read from any thread.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken: set[str] = set()

    def __contains__(self, job: str) -> bool:
        return job in self._taken

    def __str__(self) -> str:
        return f"{self.taken} of {self.count} places are taken"

    @property
    def taken(self) -> int:
        """How many jobs have one."""
        return len(self._taken)

    @property
    def load(self) -> float:
        """What LiveKit is told: 1 when nothing is free, and little enough for an offer before."""
        taken = self.taken
        return 1.0 if taken >= self.count else _OFFERED_BELOW * taken / self.count

    def take(self, job: str) -> bool:
        """Give this job a place; False when all are taken."""
        if self.taken >= self.count:
            return False
        self.hold(job)
        return True

    def hold(self, job: str) -> None:
        """Count this job, whether or not there is room for it: it is here already."""
        if job in self._taken:
            return
        self._taken.add(job)
        if self.taken == self.count:
            log.warning("all %d places are taken; LiveKit is told so", self.count)

    def free(self, job: str) -> None:
        """Take the place back; a job that has none any more is fine."""
        if job in self._taken:
            self._taken.discard(job)
            log.info("%s has given its place back: %s", job, str(self))
