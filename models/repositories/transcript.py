"""Reads a conversation's utterances in order, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.database import Connection, engine
from models.engine import Query
from models.repositories.bulk import hydrated
from models.search.parsing import Search
from models.tables.utterance import Utterance

_PAGE: Final = """
SELECT * FROM utterances WHERE {where} {finality} ORDER BY sort_key {way} LIMIT ?"""
_COUNT_MATCHING: Final = "SELECT count(*) AS number FROM utterances WHERE {where} {finality}"
_BY_NUMBER: Final = "SELECT * FROM utterances WHERE number IN ({marks})"

# One per session, joined by UNION ALL. Each stops at its limit along the index utterances_order; a
# window function would number every row of every session.
_ONE: Final = """
SELECT number FROM (
    SELECT number FROM utterances WHERE session_id = ? {finality}
    ORDER BY sort_key {way} LIMIT ?
) AS one"""
_COUNTS: Final = """
SELECT session_id, count(*) AS number FROM utterances
WHERE session_id IN ({marks}) {finality} GROUP BY session_id"""

_DELETE: Final = """
DELETE FROM utterances WHERE number IN (
    SELECT number FROM utterances WHERE session_id = ? LIMIT ?)"""
_DELETE_OF_USER: Final = """
DELETE FROM utterances WHERE number IN (
    SELECT u.number FROM sessions s JOIN utterances u ON u.session_id = s.id
    WHERE s.user_id = ? LIMIT ?)"""

SESSIONS_AT_ONCE: Final = 100
"""Sessions per query; SQLite allows at most 500 SELECTs in a UNION."""
_ROWS_AT_ONCE: Final = 500
"""Rows per query; other tasks run between two queries."""


@dataclass(frozen=True, slots=True)
class TranscriptQuery:
    """A filter on a session's utterances; `is_final=None` means any."""

    session_id: str
    is_final: bool | None = None
    search: Search | None = None
    """Only utterances with at least one of its words."""

    async def page(
        self,
        conn: Connection,
        after: str | None,
        before: str | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> list[Utterance]:
        """Read the first (or last) `limit` utterances between two sort keys, in order."""
        terms, values = self._terms()
        if after is not None:
            terms.append("sort_key > ?")
            values.append(after)
        if before is not None:
            terms.append("sort_key < ?")
            values.append(before)
        page = _PAGE.format(
            where=" AND ".join(terms),
            finality=_finality(self.is_final),
            way="DESC" if backward else "ASC",
        )
        found = await conn.execute_query_dict(page, [*values, limit])
        rows = [hydrated(Utterance, row) for row in found]
        return rows[::-1] if backward else rows

    async def count(self, conn: Connection) -> int:
        """Count the utterances on all pages."""
        if self.search is not None:
            terms, values = self._terms()
            count = _COUNT_MATCHING.format(
                where=" AND ".join(terms), finality=_finality(self.is_final)
            )
            [row] = await conn.execute_query_dict(count, values)
            return int(row["number"])
        counts = await counts_of_many(conn, [self.session_id], self.is_final)
        return counts[self.session_id]

    def _terms(self) -> tuple[list[str], list[object]]:
        """Return the conditions and their values."""
        terms, values = ["session_id = ?"], list[object]([self.session_id])
        if self.search is not None:
            nothing: Query = ("false", ())
            words = self.search.words
            term, found = engine().search.has_any_word(self.search) if words else nothing
            terms.append(term)
            values += found
        return terms, values


async def pages_of_many(
    conn: Connection,
    session_ids: Sequence[str],
    limit: int,
    *,
    is_final: bool | None = None,
    backward: bool = False,
) -> dict[str, list[Utterance]]:
    """Read the first (or last) `limit` utterances of each of these sessions, in order."""
    one = _ONE.format(finality=_finality(is_final), way="DESC" if backward else "ASC")
    values = [value for session_id in session_ids for value in (session_id, limit)]
    rows = await conn.execute_query_dict(" UNION ALL ".join([one] * len(session_ids)), values)
    numbers = [row["number"] for row in rows]
    pages: dict[str, list[Utterance]] = {session_id: [] for session_id in session_ids}
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        some = numbers[start : start + _ROWS_AT_ONCE]
        found = await conn.execute_query_dict(
            _BY_NUMBER.format(marks=", ".join("?" * len(some))), some
        )
        for row in found:
            pages[row["session_id"]].append(hydrated(Utterance, row))
    for page in pages.values():
        page.sort(key=lambda utterance: utterance.sort_key)
    return pages


async def counts_of_many(
    conn: Connection, session_ids: Sequence[str], is_final: bool | None = None
) -> dict[str, int]:
    """Count the utterances of each of these sessions."""
    counts = _COUNTS.format(marks=", ".join("?" * len(session_ids)), finality=_finality(is_final))
    rows = await conn.execute_query_dict(counts, list(session_ids))
    return dict.fromkeys(session_ids, 0) | {row["session_id"]: row["number"] for row in rows}


def _finality(is_final: bool | None) -> str:
    return {None: "", True: "AND is_final", False: "AND NOT is_final"}[is_final]


async def delete_some(conn: Connection, session_id: str, most: int) -> bool:
    """Delete up to `most` utterances of a session; return whether any are left."""
    await conn.execute_query(_DELETE, [session_id, most])
    return await Utterance.filter(session_id=session_id).using_db(conn).exists()


async def delete_some_of_user(conn: Connection, user_id: str, most: int) -> bool:
    """Delete up to `most` utterances of a user's sessions; return whether any are left."""
    await conn.execute_query(_DELETE_OF_USER, [user_id, most])
    return await Utterance.filter(session__user_id=user_id).using_db(conn).exists()
