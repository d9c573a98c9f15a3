"""Reads one user's conversations, newest first, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from models.database import Connection, engine
from models.repositories.bulk import hydrated
from models.search.parsing import Search
from models.tables.session import Session, SessionStatus

# Newest first, along the index sessions_history. SQLite can seek to the first half of
# `a <= x AND (a < x OR b < y)`; it would scan for `a < x OR (…)`.
_PAGE: Final = "SELECT * FROM sessions WHERE {where} ORDER BY created_at {way}, id {way} LIMIT ?"
_COUNT: Final = "SELECT count(*) AS number FROM sessions WHERE {where}"
_AFTER: Final = "created_at <= ? AND (created_at < ? OR id < ?)"
_BEFORE: Final = "created_at >= ? AND (created_at > ? OR id > ?)"

Position = tuple[datetime, str]
"""(created_at, id) of the session next to which a page begins or ends."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A filter on a user's conversations; None means any."""

    user_id: str
    search: Search | None = None
    statuses: Sequence[SessionStatus] | None = None
    agent_name: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None

    async def page(
        self,
        conn: Connection,
        after: Position | None,
        before: Position | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> list[Session]:
        """Read the first (or last) `limit` sessions between the two positions, in order.

        Every page costs the same.
        """
        where, values = self._where(after, before)
        page = _PAGE.format(where=where, way="ASC" if backward else "DESC")
        rows = await conn.execute_query_dict(page, [*values, limit])
        return [hydrated(Session, row) for row in (rows[::-1] if backward else rows)]

    async def count(self, conn: Connection) -> int:
        """Count the conversations on all pages."""
        where, values = self._where()
        rows = await conn.execute_query_dict(_COUNT.format(where=where), values)
        number: int = rows[0]["number"]
        return number

    def _where(
        self, after: Position | None = None, before: Position | None = None
    ) -> tuple[str, list[object]]:
        terms = ["user_id = ?", "utterance_count > 0", "deleted_at IS NULL"]
        values: list[object] = [self.user_id]

        def add(term: str, *more: object) -> None:
            terms.append(term)
            values.extend(more)

        if after is not None:
            add(_AFTER, after[0], after[0], after[1])
        if before is not None:
            add(_BEFORE, before[0], before[0], before[1])
        if self.created_from is not None:
            add("created_at >= ?", self.created_from)
        if self.created_before is not None:
            add("created_at < ?", self.created_before)
        if self.statuses is not None:
            add(f"status IN ({', '.join('?' * len(self.statuses))})", *self.statuses)
        if self.agent_name is not None:
            add("agent_name = ?", self.agent_name)
        if self.search is not None:
            for word in self.search.words:
                query, found = engine().search.sessions(self.search, word)
                add(f"id IN ({query})", *found)
            if not self.search.words:
                add("false")
        return " AND ".join(terms), values
