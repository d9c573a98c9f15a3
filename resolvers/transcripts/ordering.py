"""Places messages that the server missed among the existing utterances."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from models import sort_keys


def place_missing(
    known: Mapping[str, str], rows: Sequence[str], keys: Sequence[str]
) -> dict[str, str]:
    """Give a sort key to every key of a client's array that the server does not know.

    A missing message goes right after its nearest known neighbour to the left in the client's
    array, else right before the nearest one to the right, else to the end. Existing rows never
    move. Consecutive missing messages keep the client's order.

    Args:
        known: The sort keys of the array's keys that the server has.
        rows: The sort keys of all rows of the session, in order.
        keys: The client's array, without duplicates.
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
    """Insert the keys evenly between `order[at - 1]` and `order[at]`, and update `order`."""
    before = order[at - 1] if at > 0 else None
    after = order[at] if at < len(order) else None
    made = sort_keys.between(before, after, len(keys))
    order[at:at] = made
    return dict(zip(keys, made, strict=True))
