"""Page sizes, and cursors that are valid for one list only."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ids
from resolvers.pages import Cursors, Page
from resolvers.refusals import BadUserInput

ROW = ids.new_session()
NOW = datetime(2026, 11, 1, 12, 0, 0, 1, UTC)


def _packed(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_exactly(moment: datetime) -> None:
    """Any year survives the round trip, to the microsecond."""
    cursors = Cursors("list")
    assert cursors.moment(cursors.encode((moment, ROW)), "after") == (moment, ROW)


@given(st.text("0123456789abcdef", min_size=10, max_size=3000))
def test_a_sort_key_comes_back_exactly(sort_key: str) -> None:
    """Sort keys of any length survive the round trip."""
    cursors = Cursors("list")
    assert cursors.sort_key(cursors.encode((sort_key, ROW)), "after") == sort_key


def test_no_cursor_is_no_place() -> None:
    """None means the beginning of the list."""
    assert Cursors("list").moment(None, "after") is None
    assert Cursors("list").sort_key(None, "after") is None


def test_a_zone_does_not_matter() -> None:
    """The same moment gives the same cursor in any zone."""
    there = NOW.astimezone(timezone(timedelta(hours=5)))
    assert Cursors("list").encode((there, ROW)) == Cursors("list").encode((NOW, ROW))


@pytest.mark.parametrize("binding", [("other",), ("list", "filter"), ("list", None), ()])
def test_a_cursor_of_another_list_is_refused(binding: tuple[object, ...]) -> None:
    """Otherwise it would open an arbitrary page."""
    cursor = Cursors("list").encode((NOW, ROW))
    with pytest.raises(BadUserInput, match="was not made by this query") as refusal:
        Cursors(*binding).moment(cursor, "before")
    assert refusal.value.field == ["before"]


@given(st.text() | st.binary().map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """Any other text is a client's error, never a fault of the server."""
    with pytest.raises(BadUserInput):
        Cursors("list").moment(cursor, "after")
    with pytest.raises(BadUserInput):
        Cursors("list").sort_key(cursor, "after")


@pytest.mark.parametrize(
    "forged",
    [
        lambda mark: None,
        lambda mark: 1,
        lambda mark: {},
        lambda mark: [2, mark, NOW.isoformat(), ROW],
        lambda mark: [1, mark, NOW.isoformat()],
        lambda mark: [1, mark, NOW.isoformat(), "x"],
        lambda mark: [1, mark, NOW.isoformat(), "\ud800"],
        lambda mark: [1, mark, NOW.isoformat(), 7],
        lambda mark: [1, mark, "2026-11-01T12:00:00", ROW],
        lambda mark: [1, mark, "0001-01-01T00:00:00+14:00", ROW],
        lambda mark: [1, mark, "yesterday", ROW],
        lambda mark: [1, mark, None, ROW],
        lambda mark: [1, mark, float("inf"), ROW],
        lambda mark: [1, mark, float("nan"), ROW],
        lambda mark: [1, mark, 1, ROW],
        lambda mark: [1, mark, [[]], ROW],
        lambda mark: [1, mark, 1.5, ROW],
        lambda mark: [1, mark, "8000000001\n", ROW],
        lambda mark: [1, mark, "800000001", ROW],
    ],
)
def test_a_forged_cursor_is_refused(forged: object) -> None:
    """A forged cursor is refused even with the list's mark."""
    assert callable(forged)
    cursors = Cursors("list")
    cursor = _packed(forged(cursors._mark))
    with pytest.raises(BadUserInput):
        cursors.moment(cursor, "after")
    with pytest.raises(BadUserInput):
        cursors.sort_key(cursor, "after")


def test_a_deep_cursor_is_refused() -> None:
    """Deeply nested JSON, which could exhaust a parser's stack, is refused."""
    deep = urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(BadUserInput):
        Cursors("list").moment(deep, "after")


def test_sizes() -> None:
    """Sizes up to the limit are accepted; the default applies when none is given."""
    assert Page().size(100, 20) == 20
    assert Page(first=1).size(100, 20) == 1
    assert Page(first=100).size(100, 20) == 100
    assert Page(last=100).size(100, 20) == 100


@pytest.mark.parametrize(
    ("page", "field"),
    [
        (Page(first=0), "first"),
        (Page(first=-1), "first"),
        (Page(first=101), "first"),
        (Page(last=0), "last"),
        (Page(last=101), "last"),
        (Page(first=1, last=1), "last"),
    ],
)
def test_sizes_that_are_refused(page: Page, field: str) -> None:
    """Zero, a size over the limit, or both directions at once are refused."""
    with pytest.raises(BadUserInput) as refusal:
        page.size(100, 20)
    assert refusal.value.field == [field]
