"""Searching what was said: any string that a person can type is a valid search."""

import html
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from models import ids
from models.database import Connection
from models.utterance import Utterance

MARK: Final = ("<mark>", "</mark>")
"""What surrounds the found words in a snippet.

The rest of the snippet is HTML-escaped (`&amp;`, `&lt;`, `&gt;`), so that it can be shown as HTML
as it comes, which is what most do with it, without letting a transcript inject anything; and the
marks can't be confused with what was said, because what was said has no `<` left in it.
"""
WORDS: Final = 32
"""So many words of a search are looked for; a pasted essay needs no more to be found."""
LOOKED_AT: Final = 10_000
"""Characters of a search in which words are looked for."""
WORD_LENGTH: Final = 100
"""Characters of a word that are looked for: every word is a prefix anyway."""
SNIPPET_WORDS: Final = 24

MATCHING_SESSIONS: Final = """
SELECT u.session_id FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
WHERE utterance_search MATCH ?"""
"""The ids of the sessions in which one word was said; its parameter is one of `Search.each`."""

# The best utterance of each session: the one with the most and rarest of the words, then the
# earliest. The weight of the second column is 0: its only token, the owner, is in every row.
_BEST: Final = """
SELECT session_id, number FROM (
    SELECT u.session_id, u.number, row_number() OVER (
        PARTITION BY u.session_id
        ORDER BY bm25(utterance_search, 1.0, 0.0), u.position, u.id
    ) AS place
    FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
    WHERE utterance_search MATCH ? AND u.session_id IN ({marks})
) WHERE place = 1"""

_SNIPPETS: Final = """
SELECT rowid AS number, snippet(utterance_search, 0, ?, ?, '…', ?) AS snippet
FROM utterance_search WHERE utterance_search MATCH ? AND rowid IN ({marks})"""


@dataclass(frozen=True, slots=True)
class Found:
    """The utterance of a session that answers a search best, and the place in it."""

    utterance: Utterance
    snippet: str


@dataclass(frozen=True, slots=True)
class Search:
    """Words that must all have been said in a session, in any order, by whomever."""

    owner_id: str
    words: tuple[str, ...]
    """Without any, nothing is found: somebody looked for "?!"."""

    @property
    def each(self) -> list[str]:
        """One FTS5 query a word, to be intersected by session."""
        return [f"{self._owner} AND text : {_prefix(word)}" for word in self.words]

    @property
    def any(self) -> str:
        """The FTS5 query for utterances with at least one of the words."""
        return f"{self._owner} AND text : ({' OR '.join(map(_prefix, self.words))})"

    @property
    def _owner(self) -> str:
        # The index holds the identifier without its prefix, as one token: see migration 0002.
        return f'owner : "{self.owner_id.removeprefix(ids.USER + "_")}"'


def parse(text: str, owner_id: str) -> Search | None:
    """Cut what a person typed into words; None if it is blank, which is no search at all.

    A word may hold punctuation ("o'clock", "3.5"): its parts must then stand side by side. Every
    word also finds longer ones that begin with it. Case and accents don't matter.
    """
    # What UTF-8 or SQLite can't hold was never said.
    seen = text[:LOOKED_AT]
    text = "".join(" " if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in seen)
    if not text.strip():
        return None
    # A word without a letter or digit has no token to be found by; it would match nothing.
    words = (word[:WORD_LENGTH] for word in text.split() if any(c.isalnum() for c in word))
    distinct = dict.fromkeys(word for word in words if any(c.isalnum() for c in word))
    return Search(owner_id, tuple(islice(distinct, WORDS)))


async def best_matches(
    conn: Connection, search: Search, session_ids: Sequence[str]
) -> dict[str, Found]:
    """Find the best utterance of each of these sessions, by session id, in three queries."""
    if not search.words or not session_ids:
        return {}
    rows = await conn.execute_query_dict(
        _BEST.format(marks=_marks(session_ids)), [search.any, *session_ids]
    )
    best: dict[int, str] = {row["number"]: row["session_id"] for row in rows}
    # Characters that nobody can have said, for their number is drawn now.
    nonce = secrets.token_hex(8)
    opening, closing = f"\x02{nonce}", f"\x03{nonce}"
    snippets = await conn.execute_query_dict(
        _SNIPPETS.format(marks=_marks(list(best))),
        [opening, closing, SNIPPET_WORDS, search.any, *best],
    )
    utterances = await Utterance.filter(number__in=list(best)).using_db(conn)
    by_number = {utterance.number: utterance for utterance in utterances}
    return {
        best[row["number"]]: Found(
            by_number[row["number"]], _marked(row["snippet"], opening, closing)
        )
        for row in snippets
        # Each query sees the newest commit: what was deleted between two of them is left out.
        if row["number"] in by_number
    }


def _prefix(word: str) -> str:
    # Inside of double quotes FTS5 knows no operators; a double quote is written twice.
    return '"' + word.replace('"', '""') + '" *'


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _marked(snippet: str, opening: str, closing: str) -> str:
    escaped = html.escape(snippet, quote=False)
    return escaped.replace(opening, MARK[0]).replace(closing, MARK[1])
