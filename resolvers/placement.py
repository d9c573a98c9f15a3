"""Where what comes late belongs among the utterances that are there."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """One row's place in its session: rows are ordered by position, ties by id."""

    position: float
    id: str


def place_missing(
    known: dict[str, Place], rows: Sequence[Place], keys: Sequence[str]
) -> dict[str, float]:
    """Give a position to every key of a client's array that the server does not know.

    A missing message goes right after its nearest neighbour to the left (in the client's array)
    that the server knows, else right before the nearest to the right, else to the end. Rows that
    are there never move. Several missing ones in a row keep the client's order.

    Args:
        known: the places of those keys of the array that the server has.
        rows: the places of all rows of the session, in order.
        keys: the client's array, without doubles.
    """
    order = list(rows)
    positions: dict[str, float] = {}
    leading: list[str] = []
    run: list[str] = []
    left: Place | None = None

    def settle() -> None:
        if run and left is not None:
            at = bisect_left(order, left) + 1
            _spread(order, at, run, positions)
        elif run:
            leading.extend(run)
        run.clear()

    for key in keys:
        place = known.get(key)
        if place is None:
            run.append(key)
            continue
        settle()
        left = place
    settle()
    if leading:
        right = next((known[key] for key in keys if key in known), None)
        at = len(order) if right is None else bisect_left(order, right)
        _spread(order, at, leading, positions)
    return positions


def between(before: float | None, after: float | None, index: int = 1, count: int = 1) -> float:
    """Return the position of a new row that goes between two neighbours.

    Args:
        before: the left neighbour's position; None where there is none.
        after: the right neighbour's.
        index: its number, from 1, among the new rows that go there.
        count: how many these are.
    """
    if before is None and after is None:
        return float(index)
    if after is None:
        assert before is not None
        return before + index
    if before is None:
        return after - (count + 1 - index)
    # When the gap is used up the left neighbour's position is taken: then ids decide, and
    # a new id sorts after the older ones. At the right one's it would come after that.
    position = before + (after - before) * index / (count + 1)
    return position if before <= position < after else before


def _spread(order: list[Place], at: int, keys: Sequence[str], positions: dict[str, float]) -> None:
    """Put the keys between `order[at - 1]` and `order[at]`, evenly, and note them in `order`."""
    before = order[at - 1].position if at > 0 else None
    after = order[at].position if at < len(order) else None
    count = len(keys)
    for index, key in enumerate(keys, start=1):
        position = between(before, after, index, count)
        positions[key] = position
        # The real id isn't known yet; a new one sorts after every id that is there.
        insort(order, Place(position, "~"))
