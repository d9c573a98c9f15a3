"""Tracks a worker's places; a job holds one from its acceptance until its conversation ends."""

import logging
from typing import Final

log = logging.getLogger(__name__)

_OFFERED_BELOW: Final = 0.7
"""A LiveKit server offers nothing to a worker with this load or more, whatever status the worker
reports. It is the default of `agents.target_load` in the server's configuration."""


class PlacePool:
    """A fixed number of places; change them from one loop only, read them from any thread.

    Args:
        count: the number of places.
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
        """The number of places taken."""
        return len(self._taken)

    @property
    def load(self) -> float:
        """The load reported to LiveKit: 1 when full, otherwise low enough to be offered jobs."""
        taken = self.taken
        return 1.0 if taken >= self.count else _OFFERED_BELOW * taken / self.count

    def take(self, job: str) -> bool:
        """Give this job a place; return False if all are taken."""
        if self.taken >= self.count:
            return False
        self.hold(job)
        return True

    def hold(self, job: str) -> None:
        """Give this job a place even if all are taken, because it is already here."""
        if job in self._taken:
            return
        self._taken.add(job)
        if self.taken == self.count:
            log.warning("all %d places are taken; LiveKit is told so", self.count)

    def free(self, job: str) -> None:
        """Free this job's place, if it still has one."""
        if job in self._taken:
            self._taken.discard(job)
            log.info("%s has given its place back: %s", job, str(self))
