"""Sizes of the measurements: each is bounded in count and in time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Counts and durations of one run."""

    rounds: int
    """How often ours and the reference are measured, by turns."""
    sessions: int
    rate: float
    """Events a second in each session."""
    crowd: int
    """Viewers of a single session."""
    warm_s: float
    talk_s: float
    """Measured seconds of a round, after the warm-up."""
    saves: int
    messages: int
    many_messages: int
    """Messages in the save during which others' waiting is measured."""
    history_sessions: int
    history_utterances: int
    """Utterances in each of those sessions."""
    deep_page: int
    reads: int
    subscribers: tuple[int, ...]
    """Numbers of subscribers at which memory is measured; the first is the baseline."""


FULL = Sizes(
    rounds=5,
    sessions=200,
    rate=10.0,
    crowd=500,
    warm_s=1.0,
    talk_s=4.0,
    saves=15,
    messages=1_000,
    many_messages=10_000,
    history_sessions=100_000,
    history_utterances=10,
    deep_page=4_000,
    reads=60,
    subscribers=(100, 500, 1_000, 2_000),
)
QUICK = Sizes(
    rounds=1,
    sessions=8,
    rate=10.0,
    crowd=10,
    warm_s=0.3,
    talk_s=1.2,
    saves=2,
    messages=50,
    many_messages=200,
    history_sessions=300,
    history_utterances=4,
    deep_page=10,
    reads=3,
    subscribers=(5, 10, 20),
)
