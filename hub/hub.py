"""The hub publishes events to their readers without waiting for them."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from hub.events import Event
from hub.subscription import BOUND, HubSubscription
from hub.ticks import Ticks

E = TypeVar("E", bound=Event)
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Carried:
    """How many events were carried between this process and others, since its start."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    """Events that could not be sent."""


class Hub(ABC):
    """Publish and subscribe by topic name, in one process or across several."""

    def __init__(self) -> None:
        self.carried = Carried()
        self.ticks = Ticks()
        self._actions: dict[type[Event], list[Callable[[Any], object]]] = defaultdict(list)

    def on(self, kind: type[E], act: Callable[[E], object]) -> None:
        """Call `act` with each event of this kind that this process emits, when it is emitted.

        `act` must not block. What it raises is logged.
        """
        self._actions[kind].append(act)

    def emit(self, event: Event) -> None:
        """Publish the event on its topics, then call the callbacks for its kind.

        Events that follow from a commit are emitted in its transaction instead
        (`resolvers.transcripts.transaction.Transaction.emit`).
        """
        for topic in event.topics:
            self.publish(topic, event)
        for act in self._actions.get(type(event), ()):
            try:
                act(event)
            except Exception:  # one part's fault must not keep others from what was committed
                log.exception("event_not_handled", kind=type(event).__name__)

    @abstractmethod
    def publish(self, topic: str, event: object) -> None:
        """Deliver the event to all current subscribers; never waits."""

    @abstractmethod
    def publish_here(self, topic: str, event: object) -> None:
        """Deliver the event to the subscribers in this process."""

    @abstractmethod
    @contextmanager
    def subscribe(self, *topics: str, bound: int = BOUND) -> Iterator[HubSubscription]:
        """Subscribe immediately: nothing published from now on is missed."""

    @abstractmethod
    def watched(self, prefix: str) -> list[str]:
        """Return the topics with this prefix that have a subscriber in this process."""

    def retain(self, key: str, value: str | None) -> None:
        """Let other processes read a volatile value; None deletes it."""
        return  # in one process, nobody else reads it

    async def retained(self, keys: Sequence[str]) -> list[str | None]:
        """Return what other processes have retained under these keys, as far as it is known."""
        return [None] * len(keys)

    @property
    def kind(self) -> str:
        """What carries events: `local` or `redis`."""
        return "local"

    @property
    def condition(self) -> str:
        """`ready`, or `delayed` while other processes get events late."""
        return "ready"

    @property
    def is_shared(self) -> bool:
        """Whether events of other processes arrive here, possibly late or not at all."""
        return False
