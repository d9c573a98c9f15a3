"""Where messages that the server missed belong among the utterances that are there."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from models import sort_keys


def place_missing(
    known: Mapping[str, str], rows: Sequence[str], keys: Sequence[str]
) -> dict[str, str]:
    """Give a sort key to every key of a client's array that the server does not know.

    A missing message goes right after its nearest neighbour to the left (in the client's array)
    that the server knows, else right before the nearest to the right, else to the end. Rows that
    are there never move. Several missing ones in a row keep the client's order.

    Args:
        known: the sort keys of those keys of the array that the server has.
        rows: the sort keys of all rows of the session, in order.
        keys: the client's array, without doubles.
    """
    order = list(rows)
    placed: dict[str, str] = {}
    leading: list[str] = []
    run: list[str] = []
    left: str | None = None

    def settle() -> None:
        if left is None:
            leading.extend(run)
        elif run:
            placed.update(_spread(order, bisect_left(order, left) + 1, run))
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
        placed.update(_spread(order, at, leading))
    return placed


def _spread(order: list[str], at: int, keys: Sequence[str]) -> dict[str, str]:
    """Put the keys between `order[at - 1]` and `order[at]`, evenly, and note them in `order`."""
    before = order[at - 1] if at > 0 else None
    after = order[at] if at < len(order) else None
    made = sort_keys.between(before, after, len(keys))
    order[at:at] = made
    return dict(zip(keys, made, strict=True))
