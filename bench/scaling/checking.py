"""Compares the simulation with what was measured on the machine of docs/figures.md."""

from dataclasses import dataclass, replace
from typing import Final

from bench.scaling.costs import BENCH_EVENTS, BENCH_RATE, EVENT, LOAD_US, SLOW_DAY, Costs
from bench.scaling.model import Conversation, Setup

SESSIONS: Final = 200


@dataclass(frozen=True, slots=True)
class Case:
    """A load that was measured, with its figures: milliseconds, and CPU in percent of a core."""

    name: str
    table: str
    """The letter of the table in docs/figures.md."""
    setup: Setup
    cpu: float
    interims: tuple[float, float]
    """Median and 99th percentile."""
    finals: tuple[float, float]


def cases() -> list[Case]:
    """Return what was measured with 200 sessions and 10 events a second each."""
    here = _setup(Costs.measured(), viewer=0)
    apart = replace(_setup(Costs.measured(), viewer=1), processes=2, is_shared=True)
    # SQLite's own work is part of the process's CPU, and a commit takes two trips to its thread.
    scale = SLOW_DAY.value / 100 / (EVENT.value * 1e-6 * SESSIONS * BENCH_RATE)
    slow = _setup(replace(Costs.measured(scale), row_us=0.0, trips=2), viewer=0)
    return [
        Case("one process", "g", here, 66, (0.65, 2.7), (12.4, 28.5)),
        Case("two processes", "g", apart, 99, (1.96, 9.2), (15.5, 36.4)),
        Case("one process on SQLite, a slower day", "a", slow, 91, (0.94, 3.7), (15.6, 48)),
    ]


def _setup(costs: Costs, viewer: int) -> Setup:
    return Setup(
        conversations=[Conversation(0, (viewer,))] * SESSIONS,
        rate=BENCH_RATE,
        events=BENCH_EVENTS,
        costs=replace(costs, load_us=LOAD_US),
        shared_cores=2,
        is_even=True,
    )
