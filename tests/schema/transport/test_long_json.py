"""JSON of any length is read and written as `json` does, without blocking the loop."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.turns import Turns
from schema.operations import long_json

VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates too: errors in a text are reported where it is used.
    | st.text(st.characters(codec=None), max_size=30),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=40,
)
SPACE = st.sampled_from(("", " ", "\n", "\t \r\n"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use windows shorter than nearly every text."""
    monkeypatch.setattr(long_json, "WINDOW", 7)
    monkeypatch.setattr(long_json, "LEVELS", 50)


def spaced(value: Any, space: str) -> str:
    """Write JSON with white space wherever it is allowed."""
    if isinstance(value, dict):
        pairs = (f"{space}{json.dumps(k)}{space}:{spaced(v, space)}" for k, v in value.items())
        return f"{space}{{{','.join(pairs)}{space}}}{space}"
    if isinstance(value, list):
        return f"{space}[{','.join(spaced(each, space) for each in value)}{space}]{space}"
    return f"{space}{json.dumps(value)}{space}"


@given(value=VALUES, space=SPACE)
@settings(deadline=None)
async def test_it_reads_what_json_reads(value: Any, space: str) -> None:
    """This holds even where each value is longer than one window."""
    text = spaced(value, space)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "WINDOW", 7)
        patch.setattr(long_json, "LEVELS", 50)
        assert await long_json.read(text) == json.loads(text) == value


@given(value=VALUES)
@settings(deadline=None)
async def test_it_writes_what_json_writes(value: Any) -> None:
    """The output is equal byte for byte, so clients see no difference."""
    assert await long_json.write(value) == json.dumps(value, separators=(",", ":"))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "text",
    [
        '{"aaaaaaaaaa": 1',
        '{"aaaaaaaaaa": 1,}',
        '{"aaaaaaaaaa" 1}',
        '{"aaaaaaaaaa": }',
        "{aaaaaaaaaaaa: 1}",
        "{1: 2, 3: 4, 5: 6}",
        '{"a": 1} {"b": 2}',
        "[1, 2, 3, 4, 5, 6",
        "[1, 2, 3, 4, 5, 6,]",
        "[1, 2, 3 4, 5, 6, 7]",
        "[1, 2, 3, 4, 5, 6]]",
        "[1, 2, 3, 4, NaN, 6]",
        "[1, 2, 3, 4, [Infinity]]",
        '["aaaaaaaaaaaaaaaaa]',
        '["aaaaaaa", "a\nb", "a"]',
        "[1, 2, 3, 4, 5, 01]",
        f"[{'1' * 5_000}]",
        "              ",
        "\ufeff[1, 2, 3, 4]",
    ],
)
async def test_it_refuses_what_is_no_json(text: str) -> None:
    """It is refused at whatever level it is broken."""
    with pytest.raises(ValueError, match=r"."):
        await long_json.read(text)


async def test_it_reads_no_more_than_so_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text beyond the limit is not read: here it is not JSON."""
    monkeypatch.setattr(long_json, "VALUES", 20_000)
    text = f"[{'[1],' * 9_998}"
    assert len(await long_json.read(text + "1]")) == 9_999  # type: ignore[arg-type]
    for one in ("[]", "{}", "1", '"x"', '{"x": 1}', "[1, [1]]"):
        with pytest.raises(long_json.TooManyValues):
            await long_json.read(f"[{f'{one},' * 30_000} nonsense")


async def test_long_values_nest_only_so_deep() -> None:
    """Requests are never nested deeper, and each level means another pass over the value."""
    long = json.dumps("x" * long_json.WINDOW)
    for levels, is_read in ((long_json.LEVELS, True), (long_json.LEVELS + 1, False)):
        text = "[" * levels + long + "]" * levels
        if is_read:
            assert await long_json.read(text) == json.loads(text)
        else:
            with pytest.raises(RecursionError):
                await long_json.read(text)


async def test_a_deep_value_in_a_long_one_is_refused() -> None:
    """It is refused at any position, as `json` does."""
    with pytest.raises(RecursionError):
        await long_json.read("[" + "1," * long_json.WINDOW + "[" * 10_000 + "]" * 10_000 + "]")


async def test_others_have_their_turn_while_it_reads_and_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It checks the clock after each value read, and after every few objects written."""
    looks = 0

    def look(self: Turns) -> bool:
        nonlocal looks
        looks += 1
        return False

    monkeypatch.setattr(Turns, "is_over", look)
    value = {"messages": [{"key": f"k{n}", "text": "x" * 100} for n in range(2_000)]}

    text = await long_json.write(value)
    assert looks >= 2_000 / long_json.TOGETHER
    looks = 0
    assert await long_json.read(text) == value
    assert looks >= 2_000
