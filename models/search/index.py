"""The search index in SQLite: tables of tokens, which triggers update at every write.

The triggers call functions from `models.search.tokens`, which every connection of this program
registers. Without them, SQLite refuses another program's writes ("no such function").
"""

import time
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

import structlog

from models.search.tokens import indexed, last_of_runs
from models.tables.session import NEW_CONVERSATION

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
