"""A hub whose events also reach other processes, possibly late or not at all."""

from abc import abstractmethod
from collections.abc import Callable

import msgspec
import structlog

from hub import codec
from hub.events import SERVER_TOPIC, Event
from hub.local import LocalHub

log = structlog.get_logger(__name__)


class SharedHub(LocalHub):
    """Readers in this process get an event at once; something else carries it to the others.

    What is lost on the way is found in the database (`resolvers.lost_events`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_fresh: Callable[[str], None] = lambda _: None
        """Called with a topic whose earlier events may not have arrived from other processes."""
        self._progress: dict[str, int] = {}
        """The topics that are watched here, with the highest `progress` of their events."""
        self._encoded: tuple[Event | None, bytes] = None, b""

    @property
    def is_shared(self) -> bool:
        """See `Hub.is_shared`."""
        return True

    def progress(self, topic: str) -> int:
        """Return the highest `progress` of the events that were delivered on a watched topic."""
        return self._progress.get(topic, 0)

    def publish(self, topic: str, event: object) -> None:
        """See `Hub.publish`; other processes get it a moment later."""
        self.publish_here(topic, event)
        if isinstance(event, Event) and event.is_for_all:
            self._send(topic, self._bytes_of(event))

    def publish_here(self, topic: str, event: object) -> None:
        """See `Hub.publish_here`."""
        if topic in self._progress:
            progress: int = getattr(event, "progress", 0)
            self._progress[topic] = max(self._progress[topic], progress)
        super().publish_here(topic, event)

    @abstractmethod
    async def run(self) -> None:
        """Exchange events with the other processes, until cancelled."""

    @abstractmethod
    def _send(self, topic: str, data: bytes) -> None:
        """Send an encoded event to the other processes; never waits."""

    @abstractmethod
    def _follow(self) -> None:
        """Receive the events of the watched topics, which have changed; never waits."""

    def _arrived(self, topic: str, data: bytes) -> None:
        """Deliver what has come from another process."""
        try:
            event = codec.decode(data)
        except msgspec.MsgspecError:
            # Another version of VoxQL may send events that this one does not know.
            log.warning("event_not_understood", topic=topic)
            self.on_fresh(topic)
            return
        self.publish_here(topic, event)

    def _lose(self, prefix: str) -> None:
        """Tell the readers of these topics that they have missed something."""
        for topic in self.watched(prefix):
            for subscription in tuple(self._topics.get(topic, ())):
                subscription.overflow()

    def _bytes_of(self, event: Event) -> bytes:
        # An event with several topics is encoded once.
        if self._encoded[0] is not event:
            self._encoded = event, codec.encode(event)
        return self._encoded[1]

    def _opened(self, topic: str) -> None:
        if topic != SERVER_TOPIC:
            self._progress[topic] = 0
            self._follow()

    def _closed(self, topic: str) -> None:
        if self._progress.pop(topic, None) is not None:
            self._follow()
