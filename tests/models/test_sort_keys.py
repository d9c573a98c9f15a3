"""Sort keys: text that orders like numbers and always leaves room between two keys."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.sort_keys import after, between, key_of, number_of

LARGEST = 2.0**39

numbers = st.floats(min_value=-LARGEST, max_value=LARGEST, exclude_max=True)


@given(numbers)
def test_a_number_has_one_key(number: float) -> None:
    """Each float has an exact key that converts back to it."""
    assert number_of(key_of(number)) == number


@given(st.lists(numbers, min_size=2))
def test_keys_are_ordered_as_their_numbers(given: list[float]) -> None:
    """Keys sort as text in the order of their numbers."""
    assert [number_of(key) for key in sorted(map(key_of, given))] == sorted(given)


@pytest.mark.parametrize("number", [LARGEST, -LARGEST * 1.001, math.inf, math.nan])
def test_a_number_without_a_key_is_refused(number: float) -> None:
    """Numbers out of range raise ValueError; no session has that many utterances."""
    with pytest.raises(ValueError, match="range"):
        key_of(number)


@pytest.mark.parametrize(
    ("left", "right", "count", "expected"),
    [
        (None, None, 2, [1, 2]),
        (3, None, 2, [4, 5]),
        (3.5, None, 1, [4]),
        (None, 3, 2, [1, 2]),
        (None, 3.5, 2, [2, 3]),
        (None, 0, 1, [-1]),
        (3, 4, 1, [3.5]),
        (3, 4, 3, [3.25, 3.5, 3.75]),
        (-1, 3.5, 1, [1.25]),
    ],
)
def test_keys_between_neighbours(
    left: float | None, right: float | None, count: int, expected: list[float]
) -> None:
    """between() also works when one or both neighbours are missing."""
    found = between(
        None if left is None else key_of(left), None if right is None else key_of(right), count
    )
    assert [number_of(key) for key in found] == expected


@given(numbers, numbers, st.integers(1, 40), st.data())
def test_there_is_always_room(one: float, other: float, count: int, data: st.DataObject) -> None:
    """Any gap takes any number of keys, and so does any gap left after that."""
    keys = sorted({key_of(one), key_of(other)})
    if len(keys) < 2:
        # The highest whole number has no next one.
        assume(one < 2**39 - 1)
        keys.append(after(keys[0]))
    for _ in range(3):
        at = data.draw(st.integers(1, len(keys) - 1))
        keys[at:at] = between(keys[at - 1], keys[at], count)
        assert keys == sorted(set(keys))
        assert all(len(key) == 10 or not key.endswith("0") for key in keys)
        assert [number_of(key) for key in keys] == sorted(map(number_of, keys))


@pytest.mark.parametrize("is_left", [True, False], ids=["left", "right"])
def test_one_gap_takes_hundreds_of_keys(is_left: bool) -> None:
    """Each key goes beside the one before it, and costs one bit."""
    left, right = key_of(1), key_of(2)
    for _ in range(500):
        [made] = between(left, right)
        assert left < made < right
        left, right = (made, right) if is_left else (left, made)
    assert len(right if not is_left else left) <= 10 + 500 // 4 + 1


def test_neighbours_in_the_wrong_order_are_refused() -> None:
    """Equal or reversed neighbours raise: no key lies between them."""
    with pytest.raises(ValueError, match="not higher"):
        between(key_of(2), key_of(1))
    with pytest.raises(ValueError, match="not higher"):
        between(key_of(1), key_of(1))


def test_the_next_after_another_is_whole() -> None:
    """Keys appended at the end stay short, whatever the last key is."""
    assert after(None) == key_of(1)
    assert after(key_of(-3.75)) == key_of(-3)
    assert after(between(key_of(7), key_of(8))[0]) == key_of(8)
