"""The DateTime scalar: instants that all clients write and read alike."""

from datetime import UTC, datetime, timedelta

import strawberry
from graphql import GraphQLError

from agent_bridge.protocol.limits import RFC_3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_BELOW = 10**11
"""In milliseconds this is March 1973, in seconds the year 5138."""
_EXPECTED = (
    'expected RFC 3339 with an offset, as in "2026-01-31T12:00:00Z", '
    "or whole milliseconds since the epoch"
)


def write_datetime(value: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC, with six digits of microseconds."""
    moment = value.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds") + "Z"


def read_datetime(value: object) -> datetime:
    """Parse a client's instant; return it in UTC.

    Raises:
        GraphQLError: when it is neither RFC 3339 with an offset nor a whole number of milliseconds.
    """
    # bool is an int in Python, but `true` doesn't mean one millisecond after the epoch.
    if isinstance(value, int) and not isinstance(value, bool):
        return _from_milliseconds(value)
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        return _from_text(value)
    raise GraphQLError(f"Not a DateTime: {_EXPECTED}.")


def _from_milliseconds(value: int) -> datetime:
    if abs(value) < _SECONDS_BELOW:
        raise GraphQLError(
            f"Not a DateTime: {value} looks like seconds; whole milliseconds since the epoch are "
            "expected. Multiply by 1000."
        )
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise GraphQLError("Not a DateTime: outside the years 1 to 9999.") from None


def _from_text(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError("Not a DateTime: there is no such date or time.") from None


DATETIME = strawberry.scalar(
    name="DateTime",
    description=(
        "An instant. Comes out as RFC 3339 in UTC with microseconds: "
        '`"2026-01-31T12:00:00.000000Z"`. Goes in as RFC 3339 with any offset, or as whole '
        "milliseconds since the epoch, as browsers have them: `1769860800000`. A number below "
        "10^11 is refused: it would be seconds."
    ),
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=write_datetime,
    parse_value=read_datetime,
)
