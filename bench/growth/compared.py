"""Deliveries of two servers under the same load, by turns."""

from collections.abc import Sequence
from typing import Final

from bench.equipment.load import Tally
from bench.figures import Aim, Figure
from bench.streams import check, ms

_KINDS: Final = {b"f": "final → viewer, committed", b"i": "interim → viewer"}


def delivered(
    part: str,
    rounds: Sequence[Sequence[tuple[Tally, float]]],
    reference: str,
    of_finals: Aim | None = None,
) -> list[Figure]:
    """Return the latencies of ours and of the reference.

    Args:
        part: The letter of the part.
        rounds: The deliveries and CPU seconds of ours, then of the reference, in each round.
        reference: What ours is compared with.
        of_finals: The aim of the 99th percentile of finals.
    """
    for both in rounds:
        for tally, _ in both:
            check(tally, 1)
    figures = []
    for kind, name in _KINDS.items():
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            ours, theirs = (
                [ms(both[at][0].delivered[kind], share) for both in rounds] for at in (0, 1)
            )
            aim = of_finals if (kind, label) == (b"f", "p99") else None
            figures.append(Figure(part, f"{name}, {label}", "ms", ours, reference, theirs, aim))
    return figures
