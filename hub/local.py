"""The in-process hub."""

from collections.abc import Iterator
from contextlib import contextmanager

from hub.hub import Hub
from hub.subscription import BOUND, HubSubscription


class LocalHub(Hub):
    """Keeps topics in a dictionary. Belongs to one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._topics: dict[str, dict[HubSubscription, None]] = {}

    def publish(self, topic: str, event: object) -> None:
        """See `Hub.publish`."""
        # A copy, because a reader may end its subscription when it gets an event.
        for subscription in tuple(self._topics.get(topic, ())):
            subscription.put(event)

    def publish_here(self, topic: str, event: object) -> None:
        """See `Hub.publish_here`."""
        LocalHub.publish(self, topic, event)

    @contextmanager
    def subscribe(self, *topics: str, bound: int = BOUND) -> Iterator[HubSubscription]:
        """See `Hub.subscribe`."""
        subscription = HubSubscription(bound)
        for topic in topics:
            readers = self._topics.setdefault(topic, {})
            if not readers:
                self._opened(topic)
            readers[subscription] = None
        try:
            yield subscription
        finally:
            for topic in topics:
                readers = self._topics[topic]
                readers.pop(subscription, None)
                if not readers:
                    del self._topics[topic]
                    self._closed(topic)

    def _opened(self, topic: str) -> None:
        """Note the first subscriber of a topic."""

    def _closed(self, topic: str) -> None:
        """Note that a topic has no subscriber any more."""

    def watched(self, prefix: str) -> list[str]:
        """See `Hub.watched`."""
        return [topic for topic in self._topics if topic.startswith(prefix)]

    def readers(self, topic: str) -> int:
        """Return the number of subscribers to this topic."""
        return len(self._topics.get(topic, ()))
