"""Knows which server processes there are, so that each sees what the others hold."""

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

from models.engine import NotAvailable

GONE_AFTER_S: Final = 5.0
"""Seconds for which a process has to be missing until others take over what it held.

After PostgreSQL has restarted, every process needs a moment to be seen again.
"""


class Members:
    """The server processes of one database; belongs to one event loop.

    Args:
        look: Reads the numbers of all processes; None for a sole process.
        number: This process's number, below 2³¹.
        clock: Returns seconds; it never goes back.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[set[int]]] | None = None,
        *,
        number: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.me: Final = new_number() if number is None else number
        self._look = look
        self._clock = clock
        self._seen: dict[int, float] = {}
        """When each other process was last seen."""
        self._was_blind = True
        """Whether the newest look failed: then nobody has been missing since."""

    @property
    def is_sole(self) -> bool:
        """Whether there can be no other process."""
        return self._look is None

    @property
    def others(self) -> set[int]:
        """The numbers of the other processes that are alive."""
        return set(self._seen)

    def is_other(self, number: int | None) -> bool:
        """Whether this is another process, and alive."""
        return number in self._seen

    async def look(self) -> bool:
        """Look which processes there are; return whether one now counts as gone.

        Raises:
            NotAvailable: The database can't be read; nobody counts as gone for that.
        """
        if self._look is None:
            return False
        try:
            found = await self._look()
        except NotAvailable:
            self._was_blind = True
            raise
        now = self._clock()
        if self._was_blind:
            self._seen = dict.fromkeys(self._seen, now)
            self._was_blind = False
        self._seen.update(dict.fromkeys(found - {self.me}, now))
        gone = [one for one, seen in self._seen.items() if seen + GONE_AFTER_S <= now]
        for one in gone:
            del self._seen[one]
        return bool(gone)


def new_number() -> int:
    """Return a number for a process that has just started."""
    return secrets.randbelow(2**31 - 1) + 1
