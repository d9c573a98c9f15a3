"""Backfills the person's first words in conversations from before these were stored."""

from typing import Any, Final

from models.titles import LOOKED_AT, title_of

AT_ONCE: Final = 1_000
"""Sessions per query."""
TRIED: Final = 100
"""The person's utterances in a session that are searched for a word."""

_SESSIONS: Final = """
SELECT id FROM sessions WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?"""
_FIRST: Final = """
SELECT sort_key, substr(text, 1, ?) AS text FROM utterances
WHERE session_id = ? AND role = 'USER' AND is_final ORDER BY sort_key LIMIT ?"""
_WRITE: Final = "UPDATE sessions SET opening = ?, opening_sort_key = ? WHERE id = ?"


async def fill(_apps: object, editor: Any) -> None:
    """Store the person's first words in every session."""
    conn, last = editor.client, ""
    while sessions := await conn.execute_query_dict(_SESSIONS, [last, AT_ONCE]):
        last = sessions[-1]["id"]
        for session in sessions:
            first = [4 * LOOKED_AT, session["id"], TRIED]
            for said in await conn.execute_query_dict(_FIRST, first):
                if title := title_of(said["text"]):
                    await conn.execute_query(_WRITE, [title, said["sort_key"], session["id"]])
                    break
