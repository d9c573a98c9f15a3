"""Metrics of the running server; counting never waits and costs well under a microsecond.

`serving/metrics.py` shows them at `/metrics`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the buckets, in seconds; one more bucket takes what is above."""


class Latencies:
    """How long something took, as a histogram."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Metrics:
    """The metrics of one process, since its start."""

    committed: Latencies = field(default_factory=Latencies)
    """From an agent's frame to "committed and synced", for everything that waits for a commit."""
    delivered: Latencies = field(default_factory=Latencies)
    """From an agent's frame to handing the event to the transport, for each subscriber."""
    transactions: Latencies = field(default_factory=Latencies)
    """From taking the turn to "committed and synced"."""
    utterances: int = 0
    interims: int = 0
    caught_up: int = 0
    """Topics that were behind the database: events from other processes had not arrived."""
    reaped: Counter[str] = field(default_factory=Counter)
    subscribers: Counter[str] = field(default_factory=Counter)
    streams_ended: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def watching(self, kind: str) -> Iterator[None]:
        """Count a subscriber while it is there."""
        self.subscribers[kind] += 1
        try:
            yield
        finally:
            self.subscribers[kind] -= 1
