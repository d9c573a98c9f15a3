"""The queue of one reader of the hub."""

import asyncio
from collections.abc import Callable
from typing import Final

BOUND: Final = 1_000
"""Events that may be queued for one reader, after coalescing."""
WEIGHT_BOUND: Final = 4 * 1024 * 1024
"""Total `weight` (roughly, bytes of text) of the events that may be queued for one reader."""


class ReaderTooSlow(Exception):
    """The reader's queue overflowed, or events were lost on the way to it."""


class HubSubscription:
    """A bounded FIFO queue for one reader that keeps only the newest event per coalescing key."""

    def __init__(self, bound: int = BOUND, weight_bound: int = WEIGHT_BOUND) -> None:
        self._bound = bound
        self._weight_bound = weight_bound
        self._waiting: dict[object, tuple[object, int]] = {}
        self._weight = 0
        self._overflowed = False
        self._urgent: object | None = None
        self._arrived = asyncio.Event()
        self._wake: Callable[[], object] = self._arrived.set

    def listen(self, wake: Callable[[], object]) -> None:
        """Call `wake` with each event from now on, in the call that publishes it.

        It takes the events by `take`, and may leave them queued.
        """
        self._wake = wake

    def put(self, event: object) -> None:
        """Queue an event; it replaces a queued event with the same `coalesce_key`.

        The new event takes the old one's place, which bounds the queue under a flood: readers order
        the states of an object by revision, not by arrival.

        An event with a true `is_urgent` overtakes all others and survives an overflow. It ends what
        the reader is doing, so the first one counts.
        """
        if getattr(event, "is_urgent", False):
            self._urgent = self._urgent or event
            self._wake()
            return
        if self._overflowed:
            return
        key = getattr(event, "coalesce_key", None) or object()
        weight: int = getattr(event, "weight", 0)
        replaced = self._waiting.get(key)
        if replaced is not None and _order(replaced[0]) > _order(event):
            return  # events of several processes may arrive in another order
        self._waiting[key] = event, weight
        self._weight += weight - (replaced[1] if replaced is not None else 0)
        if len(self._waiting) > self._bound or self._weight > self._weight_bound:
            self._drop()
        self._wake()

    def overflow(self) -> None:
        """Drop what is queued: the reader learns that it has missed something."""
        self._drop()
        self._wake()

    def _drop(self) -> None:
        self._overflowed = True
        self._waiting.clear()
        self._weight = 0

    @property
    def has_more(self) -> bool:
        """Whether `take` returns or raises something."""
        return bool(self._waiting) or self._overflowed or self._urgent is not None

    @property
    def urgent(self) -> object | None:
        """The pending urgent event, for a reader that is busy with something else."""
        return self._urgent

    def begin_again(self) -> bool:
        """Clear an overflow, for a reader that can catch up another way.

        Returns whether there was one; if so, the reader lost everything published before this call.
        """
        was_too_slow, self._overflowed = self._overflowed, False
        return was_too_slow

    def take(self) -> object | None:
        """Return the next event, if there is one.

        Raises:
            ReaderTooSlow: The queue overflowed; the subscription delivers nothing more.
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
            ReaderTooSlow: See `take`.
        """
        while (event := self.take()) is None:
            self._arrived.clear()
            await self._arrived.wait()
        return event


def _order(event: object) -> int:
    order: int = getattr(event, "order", 0)
    return order
