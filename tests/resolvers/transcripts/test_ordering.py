"""Messages that the server missed are placed beside their neighbours, and nothing moves."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.sort_keys import key_of
from resolvers.transcripts.ordering import place_missing

KEYS = [f"k{index}" for index in range(8)]


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
    """This holds for any rows of the server and any array of the client."""
    names, keys = given_both
    rows = {name: key_of(index) for index, name in enumerate(names)}
    known = {name: key for name, key in rows.items() if name in keys}

    new = place_missing(known, list(rows.values()), keys)

    assert set(new) == set(keys) - set(known)
    everything = rows | new
    assert len(set(everything.values())) == len(everything)
    assert sorted(everything, key=everything.__getitem__) == expected(names, keys)


def test_one_place_takes_any_number_of_insertions() -> None:
    """Two keys at a time go right after the same neighbour, before the previous pair."""
    left, *rows = [key_of(1), key_of(2)]
    for _ in range(1_000):
        new = place_missing({"a": left}, [left, *rows], ["a", "n", "m"])
        assert left < new["n"] < new["m"] < rows[0]
        rows = [new["n"], new["m"], *rows]

    assert rows == sorted(set(rows))
    # Each pair takes a bit or two; a digit has four bits.
    assert max(map(len, rows)) <= 10 + 2 * 1_000 / 4


@given(st.lists(st.sampled_from(KEYS), unique=True, min_size=1))
def test_the_first_messages_of_all_keep_their_order(keys: list[str]) -> None:
    """In an empty session, or at the end of one that knows none of them."""
    new = place_missing({}, [], keys)
    assert sorted(new, key=lambda key: new[key]) == keys

    later = place_missing({}, [key_of(41.5)], keys)
    assert sorted(later, key=lambda key: later[key]) == keys
    assert min(later.values()) > key_of(41.5)


@pytest.mark.parametrize("place", [-1, 1])
def test_messages_before_the_first_and_after_the_last(place: int) -> None:
    """They get whole numbers, whatever their neighbour has."""
    known = {"a": key_of(0.25)}
    keys = ["n", "m", "a"] if place < 0 else ["a", "n", "m"]

    new = place_missing(known, list(known.values()), keys)

    assert new == {
        "n": key_of(-1 if place < 0 else 1),
        "m": key_of(0 if place < 0 else 2),
    }
