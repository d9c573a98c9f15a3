"""The search index in SQLite: FTS5 tables of tokens, which triggers update at every write.

The triggers call functions from `models.search.tokens`, which every connection of this program
registers. Without them, SQLite refuses another program's writes ("no such function").
"""

import time
from collections.abc import Sequence
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

import structlog

from models import ids
from models.engine import Query
from models.search.parsing import Search
from models.search.tokens import indexed, is_single, last_of_runs
from models.titles import NEW_CONVERSATION

log = structlog.get_logger(__name__)

AT_ONCE: Final = 20_000
"""Utterances indexed per batch, between two checks of the time."""
TOLD_EVERY_S: Final = 2.0

DROP_OLD: Final = (
    "DROP TRIGGER utterance_search_session_moved",
    "DROP TRIGGER utterance_search_session_deleted",
    "DROP TRIGGER utterance_search_deleted",
    "DROP TRIGGER utterance_search_updated",
    "DROP TRIGGER utterance_search_inserted",
    "DROP TABLE utterance_search",
    "DROP VIEW utterance_search_content",
)

# `owner` is the user's id without its prefix: one token. Every search names an owner, so its cost
# grows with the searcher's own conversations, not with everybody's. FTS5's `ascii` treats every
# non-ASCII character as part of a token; models.search.tokens has split the text already.
_INDEX: Final = """
CREATE VIRTUAL TABLE utterance_search USING fts5(
    tokens, last, owner, tokenize='ascii', prefix='2 3'
)
"""
_ROW: Final = """
    INSERT INTO utterance_search(rowid, tokens, last, owner)
    SELECT new.number, voxql_tokens(new.text), voxql_last(new.text), substr(user_id, 5)
    FROM sessions WHERE id = new.session_id"""
_INSERTED: Final = f"""
CREATE TRIGGER utterance_search_inserted AFTER INSERT ON utterances WHEN new.is_final BEGIN {_ROW};
END
"""
_UPDATED: Final = f"""
CREATE TRIGGER utterance_search_updated AFTER UPDATE OF text, is_final ON utterances
WHEN (old.is_final OR new.is_final)
    AND (old.text IS NOT new.text OR old.is_final IS NOT new.is_final)
BEGIN
    DELETE FROM utterance_search WHERE rowid = old.number; {_ROW} AND new.is_final;
END
"""
_DELETED: Final = """
CREATE TRIGGER utterance_search_deleted AFTER DELETE ON utterances WHEN old.is_final BEGIN
    DELETE FROM utterance_search WHERE rowid = old.number;
END
"""
_MOVED: Final = """
CREATE TRIGGER utterance_search_moved AFTER UPDATE OF user_id ON sessions
WHEN old.user_id IS NOT new.user_id
BEGIN
    UPDATE utterance_search SET owner = substr(new.user_id, 5)
    WHERE rowid IN (SELECT number FROM utterances WHERE session_id = new.id AND is_final);
END
"""

# Titles are short, with one per session: a plain table searched by its key will do.
_TITLES: Final = """
CREATE TABLE title_search (
    user_id TEXT NOT NULL, token TEXT NOT NULL, session_id TEXT NOT NULL,
    PRIMARY KEY (user_id, token, session_id)
) WITHOUT ROWID
"""
_TITLES_OF: Final = "CREATE INDEX title_search_session ON title_search (session_id)"
# Tokens contain no quotes or backslashes, so they form a JSON list without escaping.
_TITLE: Final = f"""
    INSERT OR IGNORE INTO title_search(user_id, token, session_id)
    SELECT new.user_id, value, new.id FROM json_each(
        '["' || replace(voxql_tokens(new.title) || ' ' || voxql_last(new.title), ' ', '","') || '"]'
    ) WHERE value <> '' AND new.deleted_at IS NULL AND new.title <> '{NEW_CONVERSATION}'"""
_TITLED: Final = f"""
CREATE TRIGGER title_search_inserted AFTER INSERT ON sessions BEGIN {_TITLE};
END
"""
_RENAMED: Final = f"""
CREATE TRIGGER title_search_updated AFTER UPDATE OF title, user_id, deleted_at ON sessions
WHEN old.title IS NOT new.title OR old.user_id IS NOT new.user_id
    OR old.deleted_at IS NOT new.deleted_at
BEGIN
    DELETE FROM title_search WHERE session_id = old.id; {_TITLE};
END
"""
_TITLE_DELETED: Final = """
CREATE TRIGGER title_search_deleted AFTER DELETE ON sessions BEGIN
    DELETE FROM title_search WHERE session_id = old.id;
END
"""

MAKE: Final = (
    _INDEX,
    _INSERTED,
    _UPDATED,
    _DELETED,
    _MOVED,
    _TITLES,
    _TITLES_OF,
    _TITLED,
    _RENAMED,
    _TITLE_DELETED,
)
UNDO: Final = """
DROP TRIGGER title_search_deleted;
DROP TRIGGER title_search_updated;
DROP TRIGGER title_search_inserted;
DROP TABLE title_search;
DROP TRIGGER utterance_search_moved;
DROP TRIGGER utterance_search_deleted;
DROP TRIGGER utterance_search_updated;
DROP TRIGGER utterance_search_inserted;
DROP TABLE utterance_search;
"""

FILL: Final = """
INSERT INTO utterance_search(rowid, tokens, last, owner)
SELECT u.number, voxql_tokens(u.text), voxql_last(u.text), substr(s.user_id, 5)
FROM utterances u JOIN sessions s ON s.id = u.session_id
WHERE u.number > ? AND u.number <= ? AND u.is_final"""
"""Indexes the utterances whose number is above the first value and up to the second."""
_FILL_TITLES: Final = _TITLE.replace("new.", "s.").replace("FROM json", "FROM sessions s, json")


def with_tokens(connection: SqliteConnection) -> None:
    """Register the functions that the triggers call."""
    connection.create_function("voxql_tokens", 1, indexed, deterministic=True)
    connection.create_function("voxql_last", 1, last_of_runs, deterministic=True)


async def fill(_apps: object, editor: Any) -> None:
    """Index everything from before this index existed, and log the progress."""
    conn = editor.client
    [found] = await conn.execute_query_dict("SELECT max(number) AS last FROM utterances")
    last, told_at = found["last"] or 0, time.monotonic()
    for begin in range(0, last, AT_ONCE):
        await conn.execute_query(FILL, [begin, begin + AT_ONCE])
        if time.monotonic() - told_at > TOLD_EVERY_S or begin + AT_ONCE >= last > AT_ONCE:
            told_at = time.monotonic()
            log.info("search_is_indexed_anew", done=min(begin + AT_ONCE, last), of=last)
    await conn.execute_query(_FILL_TITLES)


# ------------------------------------------------------------------------- queries

_SAID: Final = """
SELECT u.session_id FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
WHERE utterance_search MATCH ?"""
_IN_TITLE: Final = """
SELECT session_id FROM title_search WHERE user_id = ? AND token >= ? AND token < ?"""
_END: Final = "\U0010ffff"
"""Sorts after every character in a token."""
# The plus makes SQLite follow the session's index until the page is full, instead of reading the
# rows of all matches.
_MATCHING: Final = """+number IN (
    SELECT rowid FROM utterance_search WHERE utterance_search MATCH ?)"""
# The last column's weight is 0: its only token, the owner, is in every row.
_BEST: Final = """
SELECT session_id, number FROM (
    SELECT u.session_id, u.number, row_number() OVER (
        PARTITION BY u.session_id
        ORDER BY bm25(utterance_search, 1.0, 0.5, 0.0), u.sort_key
    ) AS place
    FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
    WHERE utterance_search MATCH ? AND u.session_id IN ({marks})
) WHERE place = 1"""


class Fts5:
    """Searches by FTS5; see `models.engine.SearchIndex`."""

    def sessions(self, search: Search, word: tuple[str, ...]) -> Query:
        titled = _titled(search, word)
        in_title = " INTERSECT ".join([_IN_TITLE] * len(titled))
        values = [matching(search, [word]), *(value for each in titled for value in each)]
        return f"{_SAID} UNION ALL SELECT * FROM ({in_title})", values

    def has_any_word(self, search: Search) -> Query:
        return _MATCHING, [matching(search, search.words)]

    def best(self, search: Search, session_ids: Sequence[str]) -> Query:
        query = _BEST.format(marks=", ".join("?" * len(session_ids)))
        return query, [matching(search, search.words), *session_ids]


def matching(search: Search, words: Sequence[tuple[str, ...]]) -> str:
    """Return the FTS5 query for utterances of the search's owner with at least one of the words."""
    # The index holds the identifier without its prefix, as one token.
    owner = f'owner : "{search.owner_id.removeprefix(ids.USER + "_")}"'
    return f"{owner} AND ({' OR '.join(map(_query, words))})"


def _titled(search: Search, word: tuple[str, ...]) -> list[list[str]]:
    """Return the values of `_IN_TITLE` for each token of a word."""
    ends = [*(f"{token} " for token in word[:-1]), word[-1] + _END]
    return [[search.owner_id, token, end] for token, end in zip(word, ends, strict=True)]


def _query(word: tuple[str, ...]) -> str:
    # A token has no quotes, and FTS5 knows no operators inside quotes.
    query = _phrase(word)
    if not is_single(word[0]):
        return f"({query})"
    # The character may end a run, where no token begins with it. The rest of the word is then only
    # required in the same utterance: FTS5 can't match the end of a token next to another token.
    last = f'last : "{word[0]}"'
    return f"({query} OR ({last} AND {_phrase(word[1:])}))" if word[1:] else f"({query} OR {last})"


def _phrase(word: tuple[str, ...]) -> str:
    return f'tokens : "{" ".join(word)}" *'
