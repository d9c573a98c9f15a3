"""The hub carries events from a commit to their readers, and waits for none of them."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hub.events import Event
from hub.subscription import BOUND, Subscription

E = TypeVar("E", bound=Event)


class Hub(ABC):
    """Topics by name. In one process by default; other implementations reach other processes."""

    def __init__(self) -> None:
        self._actions: dict[type[Event], list[Callable[[Any], object]]] = defaultdict(list)

    def on(self, kind: type[E], act: Callable[[E], object]) -> None:
        """Call `act` with each event of this kind that this process emits, right when it does.

        `act` must neither wait nor raise.
        """
        self._actions[kind].append(act)

    def emit(self, event: Event) -> None:
        """Publish the event on its topics, then let those act who asked for its kind.

        What follows from a commit is not emitted here but in its transaction
        (`resolvers.transcripts.transaction.Transaction.emit`).
        """
        for topic in event.topics:
            self.publish(topic, event)
        for act in self._actions.get(type(event), ()):
            act(event)

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
