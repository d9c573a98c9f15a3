"""What waits for one reader of the hub."""

import asyncio
from typing import Final

BOUND: Final = 1_000
"""Events that may wait for one reader, after coalescing."""
WEIGHT_BOUND: Final = 4 * 1024 * 1024
"""Sum of the events' `weight` (bytes of text, roughly) that may wait for one reader."""


class ReaderTooSlow(Exception):
    """More was published than this reader may leave waiting; what waited is gone."""


class Subscription:
    """What waits for one reader: in order, bounded, the newest of each coalescing key."""

    def __init__(self, bound: int = BOUND, weight_bound: int = WEIGHT_BOUND) -> None:
        self._bound = bound
        self._weight_bound = weight_bound
        self._waiting: dict[object, tuple[object, int]] = {}
        self._weight = 0
        self._overflowed = False
        self._urgent: object | None = None
        self._arrived = asyncio.Event()

    def put(self, event: object) -> None:
        """Queue an event; one with a `coalesce_key` takes the place of the queued one of that key.

        Taking the older one's place, not a new one, is what bounds the queue under a flood: readers
        order states of one thing by their revision, not by their arrival.

        An event with a true `is_urgent` overtakes all others and survives an overflow: it ends what
        the reader does, so the first one counts.
        """
        if getattr(event, "is_urgent", False):
            self._urgent = self._urgent or event
            self._arrived.set()
            return
        if self._overflowed:
            return
        key = getattr(event, "coalesce_key", None) or object()
        weight: int = getattr(event, "weight", 0)
        replaced = self._waiting.get(key)
        self._waiting[key] = event, weight
        self._weight += weight - (replaced[1] if replaced is not None else 0)
        if len(self._waiting) > self._bound or self._weight > self._weight_bound:
            self._overflowed = True
            self._waiting.clear()
            self._weight = 0
        self._arrived.set()

    @property
    def urgent(self) -> object | None:
        """The urgent event that waits, for a reader that is busy with something else."""
        return self._urgent

    def begin_again(self) -> bool:
        """Forget that too much was waiting, for a reader that can catch up by another way.

        Returns whether it was; then everything published before this call is lost to the reader.
        """
        was_too_slow, self._overflowed = self._overflowed, False
        return was_too_slow

    def take(self) -> object | None:
        """Return the next event if there is one.

        Raises:
            ReaderTooSlow: too much was waiting; the subscription delivers nothing any more.
        """
        if self._urgent is not None:
            urgent, self._urgent = self._urgent, None
            return urgent
        if self._overflowed:
            raise ReaderTooSlow
        if not self._waiting:
            return None
        key = next(iter(self._waiting))
        event, weight = self._waiting.pop(key)
        self._weight -= weight
        return event

    async def get(self) -> object:
        """Wait for the next event.

        Raises:
            ReaderTooSlow: see `take`.
        """
        while (event := self.take()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return event
