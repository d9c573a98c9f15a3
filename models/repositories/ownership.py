"""Finds sessions that changed owner, and deletes guests that nobody can reach."""

from collections.abc import Sequence
from typing import Final

from models.database import Connection, reader

AT_ONCE: Final = 500
"""Pairs per statement; databases limit how many values one may have."""

_MOVED: Final = """
WITH held(session_id, user_id) AS (VALUES {marks})
SELECT h.session_id, h.user_id FROM held h JOIN sessions s ON s.id = h.session_id
WHERE s.user_id <> h.user_id"""
_UNREACHABLE: Final = """
DELETE FROM users WHERE email IS NULL
AND NOT EXISTS (SELECT 1 FROM logins WHERE user_id = users.id)
AND NOT EXISTS (SELECT 1 FROM api_tokens WHERE user_id = users.id)
AND NOT EXISTS (SELECT 1 FROM sessions WHERE user_id = users.id)"""


async def moved_among(owned: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the (session, last known owner) pairs whose session has another owner now."""
    moved: list[tuple[str, str]] = []
    for start in range(0, len(owned), AT_ONCE):
        some = owned[start : start + AT_ONCE]
        rows = await reader().execute_query_dict(
            _MOVED.format(marks=", ".join(["(?, ?)"] * len(some))),
            [value for pair in some for value in pair],
        )
        moved.extend((row["session_id"], row["user_id"]) for row in rows)
    return moved


async def delete_unreachable(conn: Connection) -> None:
    """Delete guests that have no login, no API token and no session."""
    await conn.execute_query(_UNREACHABLE)
