"""Pagination: requested pages, returned pages, and cursors."""

import asyncio
import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from models import ids
from resolvers.refusals import BadUserInput

T = TypeVar("T")

_VERSION: Final = 1

_SORT_KEY: Final = re.compile("[0-9a-f]{10,}")

Key = tuple[datetime | str, str]
"""A row's place in its list: the value that the list is ordered by, then the row's id."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a client requests, in the terms of the Relay cursor specification."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def is_backward(self) -> bool:
        """Whether the rows at the end of the list are wanted."""
        return self.last is not None

    def size(self, limit: int, default: int) -> int:
        """Return how many rows are wanted.

        An empty page is refused too: nobody wants one, and a bug that asks for one should show.
        """
        if self.first is not None and self.last is not None:
            raise BadUserInput("Give `first` or `last`, not both.", field=["last"])
        name, size = ("last", self.last) if self.last is not None else ("first", self.first)
        if size is None:
            return default
        if not 1 <= size <= limit:
            raise BadUserInput(f"`{name}` is 1 to {limit}, not {size}.", field=[name])
        return size


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """One page of a list, with one of `cursors` for each of `items`."""

    items: list[T]
    cursors: list[str]
    has_next: bool
    has_previous: bool
    count: Callable[[], Awaitable[int]]
    """Counts the whole list; it is queried once, on the first call."""


def sliced(
    rows: list[T],
    size: int,
    page: Page,
    cursor: Callable[[T], str],
    count: Callable[[], Awaitable[int]],
) -> Slice[T]:
    """Return these rows as a page.

    Args:
        rows: The rows in the order of the list, with one more than wanted if there are more.
        size: The number of rows wanted.
        page: The requested page.
        cursor: Makes the cursor of a row.
        count: Counts the whole list.
    """
    has_more = len(rows) > size
    shown = rows[-size:] if page.is_backward else rows[:size]
    return Slice(
        items=shown,
        cursors=[cursor(row) for row in shown],
        has_next=page.before is not None or (has_more and not page.is_backward),
        has_previous=page.after is not None or (has_more and page.is_backward),
        count=Once(count).value,
    )


class Once(Generic[T]):
    """The result of a call that is made once, on first use."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self._result: T | None = None
        self._turn = asyncio.Lock()

    async def value(self) -> T:
        """Return the result; a call that failed is made again."""
        async with self._turn:
            if self._result is None:
                self._result = await self._call()
        return self._result


class Cursors:
    """Makes and reads the cursors of one list.

    A cursor holds the place itself, so it stays valid while rows come and go. It also holds a mark
    of its list, so that a cursor from another list is refused instead of giving a random page.
    """

    def __init__(self, *binding: object) -> None:
        canonical = json.dumps(binding, default=str, ensure_ascii=True)
        self._mark = hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def encode(self, key: Key) -> str:
        """Return the cursor of the row at this place."""
        place, row_id = key
        shown = place.astimezone(UTC).isoformat() if isinstance(place, datetime) else place
        packed = json.dumps([_VERSION, self._mark, shown, row_id], separators=(",", ":"))
        return urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    def moment(self, cursor: str | None, field: str) -> tuple[datetime, str] | None:
        """Read a cursor of a list ordered by time."""
        if cursor is None:
            return None
        shown, row_id = self._decode(cursor, field)
        try:
            place = datetime.fromisoformat(str(shown))
            # Only one spelling is valid: a cursor that encodes differently was not made here.
            if place.tzinfo is not None and self.encode((place, row_id)) == cursor:
                return place, row_id
        except (ValueError, OverflowError):
            pass
        raise _refusal(field)

    def sort_key(self, cursor: str | None, field: str) -> str | None:
        """Read a cursor of a list ordered by a sort key."""
        if cursor is None:
            return None
        place, _ = self._decode(cursor, field)
        if isinstance(place, str) and _SORT_KEY.fullmatch(place):
            return place
        raise _refusal(field)

    def _decode(self, cursor: str, field: str) -> tuple[object, str]:
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            match json.loads(urlsafe_b64decode(padded)):
                case [1, str(mark), place, str(row_id)] if mark == self._mark:
                    if ids.kind_of(row_id) is not None:
                        return place, row_id
        except (ValueError, RecursionError):
            pass
        raise _refusal(field)


def _refusal(field: str) -> BadUserInput:
    return BadUserInput(
        f"The cursor in `{field}` was not made by this query with this filter. "
        "Start again without it.",
        field=[field],
    )
