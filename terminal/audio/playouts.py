"""Queues the agent's replies for the loudspeaker, and counts how much of them was heard."""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

SAMPLE_RATE: Final = 24_000
"""Samples per second of the agent's voice."""
WIDTH: Final = 2
"""Bytes per sample."""


@dataclass(slots=True)
class _Playout:
    id: str
    sound: bytearray = field(default_factory=bytearray)
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A number of samples of one reply."""

    playout: str
    samples: int


class Playouts:
    """The replies to play, in order.

    Only played samples count as heard, not those that wait or were cleared. A sound card takes
    samples in its own thread, hence the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[_Playout] = deque()
        self._open: _Playout | None = None
        self._heard: dict[str, int] = {}
        self._reported: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no audio waits and no reply is still arriving."""
        with self._lock:
            return not self._waiting

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        with self._lock:
            return sum(len(playout.sound) for playout in self._waiting) // WIDTH

    def begin(self, playout: str) -> None:
        """Begin a reply."""
        with self._lock:
            self.lost()
            self._open = _Playout(playout)
            self._waiting.append(self._open)
            self._heard[playout] = 0

    def add(self, sound: bytes) -> None:
        """Queue audio of the reply that began last; drop it if no reply is open."""
        with self._lock:
            if self._open is not None:
                self._open.sound += sound

    def end(self, playout: str) -> None:
        """Mark this reply as complete."""
        with self._lock:
            if self._open is not None and self._open.id == playout:
                self._open.is_complete = True
                self._open = None
            self._drop_finished()

    def lost(self) -> None:
        """End the open reply because its connection is lost; what has arrived still plays."""
        with self._lock:
            if self._open is not None:
                self.end(self._open.id)

    def clear(self, playout: str) -> None:
        """Drop the rest of this reply."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.id == playout:
                    waiting.sound.clear()
            self.end(playout)
            for waiting in [one for one in self._waiting if one.id == playout]:
                self._waiting.remove(waiting)

    def take(self, samples: int) -> tuple[bytes, list[Taken]]:
        """Take up to `samples` samples to play; also return which replies they belong to."""
        with self._lock:
            sound, taken = bytearray(), []
            wanted = samples * WIDTH
            for playout in self._waiting:
                part = playout.sound[: wanted - len(sound)]
                if part:
                    del playout.sound[: len(part)]
                    sound += part
                    taken.append(Taken(playout.id, len(part) // WIDTH))
                if playout.sound or not playout.is_complete:
                    break
            self._drop_finished()
            return bytes(sound), taken

    def was_heard(self, taken: Taken) -> None:
        """Count samples that have left the loudspeaker."""
        with self._lock:
            if taken.playout in self._heard:
                self._heard[taken.playout] += taken.samples

    def reports(self) -> list[Taken]:
        """Return how far each reply has been heard, if that has changed since the last call."""
        with self._lock:
            news = [
                Taken(playout, samples)
                for playout, samples in self._heard.items()
                if samples > self._reported.get(playout, 0)
            ]
            self._reported |= {report.playout: report.samples for report in news}
            return news

    def report_of(self, playout: str) -> Taken:
        """Return how far this reply has been heard, even if that has not changed."""
        with self._lock:
            report = Taken(playout, self._heard.get(playout, 0))
            self._reported[playout] = report.samples
            return report

    def _drop_finished(self) -> None:
        while self._waiting and self._waiting[0].is_complete and not self._waiting[0].sound:
            self._waiting.popleft()
