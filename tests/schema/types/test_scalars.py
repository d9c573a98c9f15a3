"""Reading and writing of `DateTime` values."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.types.scalars import read_datetime, write_datetime
from tests.schema.clients import Http

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00.000000-00:00",
        "2026-01-31T12:00:00.000000999Z",
        1_769_860_800_000,
    ],
)
def test_one_instant_is_read_from_all_its_spellings(written: object) -> None:
    """Any offset, any number of digits, and milliseconds are accepted."""
    assert read_datetime(written) == NOON


@pytest.mark.parametrize(
    "written",
    [
        True,
        1.5,
        1e12,
        None,
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:00:00+25:00",
        "2026-01-31T12:00Z",
        "20260131T120000Z",
        "٢٠٢٦-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        10**18,
        -(10**18),
        pytest.param(10**5_000, id="beyond all years"),
        [],
        {},
    ],
)
def test_what_names_no_instant_is_refused(written: object) -> None:
    """A time without an offset is ambiguous; true and 1.5 are not instants."""
    with pytest.raises(GraphQLError, match="Not a DateTime"):
        read_datetime(written)


@pytest.mark.parametrize("seconds", [1_795_340_000, 0, -1, 10**11 - 1])
def test_seconds_are_not_taken_for_milliseconds(seconds: int) -> None:
    """They would be stored as 1970; the refusal says what to do."""
    with pytest.raises(GraphQLError, match=rf"{seconds} looks like seconds.*Multiply by 1000"):
        read_datetime(seconds)
    assert read_datetime(10**11).year == 1973


def test_instants_are_written_in_utc_with_microseconds() -> None:
    """All have the same length, so they also sort as text."""
    assert write_datetime(NOON) == "2026-01-31T12:00:00.000000Z"
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-5))) + timedelta(microseconds=1)
    assert write_datetime(elsewhere) == "2026-01-31T12:00:00.000001Z"


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_what_was_written_is_read_as_it_was(moment: datetime) -> None:
    """A round trip loses nothing."""
    aware = moment.replace(tzinfo=UTC)
    assert read_datetime(write_datetime(aware)) == aware


@pytest.mark.parametrize("literal", ["true", "1.5", '"yesterday"', "[1]", "{a: 1}", "SOON"])
async def test_a_bad_instant_in_a_document_is_bad_user_input(guest: Http, literal: str) -> None:
    """This covers literals in the document."""
    query = f"{{ sessionHistory(filter: {{createdAt: {{from: {literal}}}}}) {{ totalCount }} }}"

    assert await guest.code(query) == "BAD_USER_INPUT"


@pytest.mark.parametrize("value", [True, 1.5, "yesterday", [1], {"a": 1}])
async def test_a_bad_instant_in_a_variable_is_bad_user_input(guest: Http, value: object) -> None:
    """This covers values in variables."""
    query = (
        "query($t: DateTime) { sessionHistory(filter: {createdAt: {before: $t}}) { totalCount } }"
    )

    assert await guest.code(query, {"t": value}) == "BAD_USER_INPUT"
    assert (await guest.data(query, {"t": 1_769_860_800_000}))["sessionHistory"]["totalCount"] == 0
