"""Where what comes late belongs among the utterances that are there."""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from datetime import datetime
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


def place_by_time(
    began: datetime, told: Mapping[Place, datetime], rows: Sequence[Place]
) -> float | None:
    """Give a position to a segment of an agent, by when it began.

    It goes after the last one of the same agent that did not begin later. Where all of them did, it
    goes before the first.

    Args:
        began: when it did.
        told: when the other segments of the same attempt began; times of one clock.
        rows: the places of all rows of the session, in order.

    Returns:
        None when no segment of the same attempt comes after it: its place is the end.
    """
    mine = sorted(told)
    earlier = [index for index, place in enumerate(mine) if told[place] <= began]
    if not mine or (earlier and earlier[-1] == len(mine) - 1):
        return None
    at = bisect_left(rows, mine[earlier[-1]]) + 1 if earlier else bisect_left(rows, mine[0])
    positions: dict[str, float] = {}
    _spread(list(rows), at, [""], positions)
    return positions[""]


def _spread(order: list[Place], at: int, keys: Sequence[str], positions: dict[str, float]) -> None:
    """Put the keys between `order[at - 1]` and `order[at]`, evenly, and note them in `order`."""
    before = order[at - 1].position if at > 0 else None
    after = order[at].position if at < len(order) else None
    count = len(keys)
    for index, key in enumerate(keys, start=1):
        if before is None and after is None:
            position = float(index)
        elif after is None:
            assert before is not None
            position = before + index
        elif before is None:
            position = after - (count + 1 - index)
        else:
            # When the gap is used up the left neighbour's position is taken: then ids decide, and
            # a new id sorts after the older ones. At the right one's it would come after that.
            position = before + (after - before) * index / (count + 1)
            if not before <= position < after:
                position = before
        positions[key] = position
        # The real id isn't known yet; a new one sorts after every id that is there.
        insort(order, Place(position, "~"))
