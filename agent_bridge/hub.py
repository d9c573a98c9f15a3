"""The hub carries events from where they are committed to whoever watches, and waits for nobody."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
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
        self._waiting: dict[object, object] = {}
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
        replaced = self._waiting.get(key)
        self._waiting[key] = event
        self._weight += _weight(event) - (_weight(replaced) if replaced is not None else 0)
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
        event = self._waiting.pop(key)
        self._weight -= _weight(event)
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


def _weight(event: object) -> int:
    weight: int = getattr(event, "weight", 0)
    return weight


class Hub(ABC):
    """Topics by name. In one process by default; other implementations reach other processes."""

    @abstractmethod
    def publish(self, topic: str, event: object) -> None:
        """Hand the event to everybody who is subscribed now; never waits."""

    @abstractmethod
    @contextmanager
    def subscribe(self, *topics: str, bound: int = BOUND) -> Iterator[Subscription]:
        """Register at once, so that nothing published from here on is missed."""

    @abstractmethod
    def watched(self, prefix: str) -> list[str]:
        """Return the topics with this prefix that somebody in this process is subscribed to."""


class LocalHub(Hub):
    """The hub of a single process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._topics: dict[str, dict[Subscription, None]] = {}

    def publish(self, topic: str, event: object) -> None:
        """See `Hub.publish`."""
        # A copy is not needed: `put` never calls back into the hub.
        for subscription in self._topics.get(topic, ()):
            subscription.put(event)

    @contextmanager
    def subscribe(self, *topics: str, bound: int = BOUND) -> Iterator[Subscription]:
        """See `Hub.subscribe`."""
        subscription = Subscription(bound)
        for topic in topics:
            self._topics.setdefault(topic, {})[subscription] = None
        try:
            yield subscription
        finally:
            for topic in topics:
                readers = self._topics[topic]
                readers.pop(subscription, None)
                if not readers:
                    del self._topics[topic]

    def watched(self, prefix: str) -> list[str]:
        """See `Hub.watched`."""
        return [topic for topic in self._topics if topic.startswith(prefix)]

    def readers(self, topic: str) -> int:
        """How many are subscribed to this topic."""
        return len(self._topics.get(topic, ()))
