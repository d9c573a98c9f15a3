"""Reads utterances, and tracks typed lines that wait for an agent."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

from models.database import Connection
from models.tables.utterance import Role, Utterance, UtteranceSource


async def of_user(conn: Connection, user_id: str, ids: Collection[str]) -> Sequence[Utterance]:
    """Read those of these utterances that are in this user's sessions."""
    query = Utterance.filter(id__in=ids, session__user_id=user_id, session__deleted_at__isnull=True)
    return await query.using_db(conn)


async def committed_after(
    conn: Connection, session_id: str, seq: int, limit: int
) -> list[Utterance]:
    """Read the utterances of a session committed after this seq, in the order of their seqs."""
    rows = Utterance.filter(session_id=session_id, seq__gt=seq).using_db(conn)
    return await rows.order_by("seq").limit(limit)


async def sort_keys(conn: Connection, session_id: str) -> set[str]:
    """Return the sort keys of all utterances of a session."""
    rows = Utterance.filter(session_id=session_id).using_db(conn)
    return set(await rows.values_list("sort_key", flat=True))  # type: ignore[arg-type]


async def outermost(
    conn: Connection, session_id: str, sign: Literal["", "-"], **filters: object
) -> Utterance | None:
    """Return a session's first utterance with these values; with "-", its last."""
    rows = Utterance.filter(session_id=session_id, **filters).using_db(conn)
    return await rows.order_by(f"{sign}sort_key").first()


async def interims(conn: Connection, session_id: str) -> list[Utterance]:
    """Read the utterances of a session that may still change."""
    return await Utterance.filter(session_id=session_id, is_final=False).using_db(conn)


async def finals_of_person(conn: Connection, session_id: str, limit: int) -> list[Utterance]:
    """Read the person's first final utterances in a session."""
    rows = Utterance.filter(session_id=session_id, role=Role.USER, is_final=True).using_db(conn)
    return await rows.order_by("sort_key").limit(limit)


async def unacknowledged(conn: Connection, session_id: str) -> list[Utterance]:
    """Read a session's typed lines that no agent has acknowledged, in order."""
    rows = Utterance.filter(session_id=session_id, awaits_agent=True).using_db(conn)
    return await rows.order_by("sort_key")


async def unacknowledged_of_many(
    conn: Connection, session_ids: Collection[str], before: datetime
) -> list[Utterance]:
    """Read these sessions' lines typed before this time that no agent has acknowledged."""
    rows = Utterance.filter(session_id__in=list(session_ids), awaits_agent=True)
    return await rows.filter(started_at__lt=before).using_db(conn).order_by("sort_key")


async def acknowledge(conn: Connection, session_id: str, keys: Collection[str]) -> None:
    """Stop handing these typed lines to an agent."""
    rows = Utterance.filter(session_id=session_id, key__in=keys, source=UtteranceSource.TYPED)
    await rows.using_db(conn).update(awaits_agent=False)
