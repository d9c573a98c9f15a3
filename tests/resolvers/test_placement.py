"""Where what comes late belongs: beside its neighbours, and nothing moves."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resolvers.placement import Place, between, place_missing

KEYS = [f"k{index}" for index in range(8)]


def ordered(rows: list[Place], new: dict[str, float]) -> list[str]:
    """Return the ids in their order once the missing have got theirs, made one after the other."""
    made = [
        Place(position, f"~{index:03}{key}") for index, (key, position) in enumerate(new.items())
    ]
    names = {place.id: place.id.removeprefix("~")[3:] for place in made}
    return [names.get(place.id, place.id) for place in sorted([*rows, *made])]


def expected(rows: list[str], keys: list[str]) -> list[str]:
    """Do the same with a list: after the left neighbour, else before the right, else at the end."""
    order = list(rows)
    known = set(rows)
    for index, key in enumerate(keys):
        if key in known:
            continue
        left = next((each for each in reversed(keys[:index]) if each in known), None)
        right = next((each for each in keys[index:] if each in known), None)
        if left is not None:
            run = index - keys.index(left)
            order.insert(order.index(left) + run, key)
        elif right is not None:
            order.insert(order.index(right), key)
        else:
            order.append(key)
    return order


rows_and_keys = st.permutations(KEYS).flatmap(
    lambda keys: st.tuples(
        st.lists(st.sampled_from([*KEYS, "x", "y", "z"]), unique=True, max_size=8),
        st.just(list(keys)),
    )
)


@given(rows_and_keys)
@example(([], KEYS))
@example((["k3"], KEYS))
@example((["x", "k7", "k0", "y"], KEYS))
def test_missing_messages_go_beside_their_neighbours(
    given_both: tuple[list[str], list[str]],
) -> None:
    """Whatever the server has, in whichever order, and whatever the client shows."""
    names, keys = given_both
    rows = [Place(float(index), name) for index, name in enumerate(names)]
    known = {place.id: place for place in rows if place.id in keys}

    new = place_missing(known, rows, keys)

    assert set(new) == set(keys) - set(known)
    assert ordered(rows, new) == expected(names, keys)


positions = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)


@given(st.lists(positions, min_size=2, max_size=6), st.data())
def test_no_gap_is_too_small(found: list[float], data: st.DataObject) -> None:
    """Where numbers run out the new ones stay between their neighbours, in the client's order."""
    rows = sorted(Place(position, f"id{index}") for index, position in enumerate(found))
    left = data.draw(st.integers(0, len(rows) - 2))
    run = [f"new{index}" for index in range(data.draw(st.integers(1, 4)))]
    keys = [rows[left].id, *run, rows[left + 1].id]

    new = place_missing({row.id: row for row in (rows[left], rows[left + 1])}, rows, keys)

    low, high = rows[left].position, rows[left + 1].position
    values = [new[key] for key in run]
    assert values == sorted(values)
    assert all(low <= value <= high for value in values)
    if low < high:
        order = ordered(rows, new)
        assert order.index(rows[left].id) < order.index(run[0])
        assert order.index(run[-1]) < order.index(rows[left + 1].id)


def test_a_gap_is_used_up_without_passing_the_neighbour() -> None:
    """A hundred times into the same gap, until there is no number left in it."""
    left = Place(1.0, "a")
    rows = [left, Place(2.0, "b")]
    for turn in range(100):
        after = rows[1]
        new = place_missing({"a": left}, rows, ["a", "n", "m"])
        made = [Place(value, f"c{turn:03}{key}") for key, value in new.items()]
        rows = sorted([*rows, *made])
        assert rows[0] == left
        if after.position > left.position:
            assert max(made) < after


def test_between_two_adjacent_numbers_the_left_one_is_taken() -> None:
    """A new row has a newer id, so beside equals it comes last: right after its neighbour."""
    left, right = Place(1.0, "a"), Place(math.nextafter(1.0, 2.0), "b")

    new = place_missing({"a": left, "b": right}, [left, right], ["a", "n", "m", "o", "b"])

    assert new == {"n": 1.0, "m": 1.0, "o": 1.0}


@given(st.lists(st.sampled_from(KEYS), unique=True, min_size=1))
def test_the_first_messages_of_all_keep_their_order(keys: list[str]) -> None:
    """In an empty session, and at the end of one that knows none of them."""
    new = place_missing({}, [], keys)
    assert sorted(new, key=lambda key: new[key]) == keys

    later = place_missing({}, [Place(41.5, "x")], keys)
    assert sorted(later, key=lambda key: later[key]) == keys
    assert min(later.values()) > 41.5


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, 1.0),
        (3.0, None, 4.0),
        (None, 3.0, 2.0),
        (3.0, 4.0, 3.5),
        (3.0, math.nextafter(3.0, 4.0), 3.0),
    ],
)
def test_one_row_goes_between_two(
    before: float | None, after: float | None, expected: float
) -> None:
    """Also where one of them is missing, and where no number is left."""
    assert between(before, after) == expected
