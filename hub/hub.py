"""The hub carries events from a commit to their readers, and waits for none of them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from hub.subscription import BOUND, Subscription


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
