"""Reads, locks, counts, moves and deletes sessions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.expressions import Q

from models.database import Connection, engine
from models.repositories.running import RUNNING
from models.tables.session import Session, SessionStatus

AT_ONCE: Final = 500
"""Names per query; databases limit how many values a query may have."""
_WITHOUT_AGENT: Final = (SessionStatus.STARTING, SessionStatus.FAILED)
_WANTED: Final = (
    "id",
    "attempt",
    "agent_name",
    "room_name",
    "status",
    "failure_code",
    "agent_at",
)
_STANDINGS: Final = """
SELECT id, user_id, status, attempt, last_seq, version, end_reason, deleted_at, person_back_by,
    agent_at
FROM sessions WHERE id IN ({marks})"""
_CLAIM: Final = "SELECT id FROM sessions WHERE id = ? FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True, slots=True)
class Standing:
    """What has to be known of a session to tell whether its readers have missed something."""

    id: str
    user_id: str
    status: str
    attempt: int
    last_seq: int
    version: int
    end_reason: str | None
    deleted_at: datetime | None
    person_back_by: datetime | None
    agent_at: int | None


async def get(conn: Connection, session_id: str) -> Session | None:
    """Read a session or its tombstone."""
    return await Session.filter(id=session_id).using_db(conn).get_or_none()


async def living(conn: Connection, session_id: str, user_id: str | None = None) -> Session | None:
    """Read a session that was not deleted; if a user is given, only if it is theirs."""
    query = Session.filter(id=session_id, deleted_at=None)
    if user_id is not None:
        query = query.filter(user_id=user_id)
    return await query.using_db(conn).get_or_none()


async def of_user(conn: Connection, user_id: str, ids: Collection[str]) -> Sequence[Session]:
    """Read those of these sessions that belong to this user and were not deleted."""
    query = Session.filter(id__in=ids, user_id=user_id, deleted_at__isnull=True)
    return await query.using_db(conn)


async def locked(conn: Connection, session_id: str) -> Session | None:
    """Lock and read a session or its tombstone; nobody else changes it before `conn` commits.

    SQLite has no row locks and needs none: its transactions take the write lock as they begin.
    """
    query = Session.filter(id=session_id).using_db(conn).select_for_update()
    return await query.get_or_none()


async def claim(conn: Connection, session_id: str) -> bool:
    """Lock a session or its tombstone, unless another process has just locked it.

    Returns whether it is locked; True also if there is none.
    """
    if not engine().locks_rows:
        return True
    if await conn.execute_query_dict(_CLAIM, [session_id]):
        return True
    return not await Session.filter(id=session_id).using_db(conn).exists()


async def was_deleted(conn: Connection, user_id: str, session_id: str) -> bool:
    """Return whether this user had this session and deleted it."""
    tombstones = Session.filter(id=session_id, user_id=user_id, deleted_at__isnull=False)
    return await tombstones.using_db(conn).exists()


async def count_active(
    conn: Connection,
    user_id: str,
    statuses: Collection[SessionStatus],
    ignored: Collection[str] = (),
) -> int:
    """Count a user's sessions with one of these statuses, except the ignored ones."""
    sessions = Session.filter(user_id=user_id, status__in=statuses, deleted_at=None)
    return await sessions.exclude(id__in=list(ignored)).using_db(conn).count()


async def unfinished(conn: Connection) -> list[str]:
    """Return the ids of all sessions that have not ended."""
    sessions = Session.filter(deleted_at=None).exclude(status=SessionStatus.ENDED)
    return [str(id_) for id_ in await sessions.using_db(conn).values_list("id", flat=True)]


async def held_by_others(conn: Connection, alive: Collection[int]) -> list[str]:
    """Return the ids of unfinished sessions that are held by a process that is not alive."""
    running = Session.filter(deleted_at=None, status__in=RUNNING, held_by__isnull=False)
    orphans = running.exclude(held_by__in=list(alive)).using_db(conn)
    return [str(id_) for id_ in await orphans.values_list("id", flat=True)]


async def standings(conn: Connection, ids: Sequence[str]) -> dict[str, Standing]:
    """Read where these sessions stand, by id; tombstones are included."""
    found: dict[str, Standing] = {}
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        query = _STANDINGS.format(marks=", ".join("?" * len(some)))
        for row in await conn.execute_query_dict(query, list(some)):
            for name in ("deleted_at", "person_back_by"):
                if row[name] is not None:
                    row[name] = engine().moment(row[name])
            found[row["id"]] = Standing(**row)
    return found


async def with_ids(conn: Connection, ids: Collection[str]) -> list[Session]:
    """Read those of these sessions that were not deleted."""
    return await Session.filter(id__in=list(ids), deleted_at=None).using_db(conn)


async def running_versions(conn: Connection, user_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return the owner and the version of these users' sessions that have not ended, by id."""
    running: dict[str, tuple[str, int]] = {}
    for start in range(0, len(user_ids), AT_ONCE):
        some = list(user_ids[start : start + AT_ONCE])
        of_some = Session.filter(user_id__in=some, status__in=RUNNING, deleted_at=None)
        rows = await of_some.using_db(conn).values_list("id", "user_id", "version")
        running.update({str(id_): (str(user_id), int(version)) for id_, user_id, version in rows})
    return running


async def rooms(conn: Connection, *, except_held_by: Collection[int] = ()) -> dict[str, str]:
    """Return the session ids of running conversations, by room name.

    Args:
        conn: The connection to read from.
        except_held_by: The processes whose conversations are left out.
    """
    running = Session.filter(status__in=RUNNING, deleted_at=None).using_db(conn)
    if except_held_by:
        running = running.filter(Q(held_by__isnull=True) | ~Q(held_by__in=list(except_held_by)))
    return {str(room): str(id_) for room, id_ in await running.values_list("room_name", "id")}


async def ended_rooms(conn: Connection, names: Sequence[str]) -> set[str]:
    """Return which of these rooms belong to conversations that have ended."""
    ended: set[str] = set()
    for start in range(0, len(names), AT_ONCE):
        some = Session.filter(room_name__in=names[start : start + AT_ONCE]).using_db(conn)
        rows = await some.only("room_name", "status", "deleted_at")
        ended.update(
            row.room_name
            for row in rows
            if row.status is SessionStatus.ENDED or row.deleted_at is not None
        )
    return ended


async def without_agent(conn: Connection) -> list[Session]:
    """Return STARTING and FAILED sessions, with the columns needed to request an agent."""
    waiting = Session.filter(status__in=_WITHOUT_AGENT, deleted_at=None).using_db(conn)
    return await waiting.only(*_WANTED)


async def save_columns(conn: Connection, session: Session, columns: Sequence[str]) -> None:
    """Write these columns of a session."""
    await session.save(using_db=conn, update_fields=list(columns))


async def save(conn: Connection, session: Session) -> None:
    """Write all columns of an existing session."""
    await session.save(using_db=conn)


async def add(conn: Connection, session: Session) -> None:
    """Write a new session."""
    await session.save(using_db=conn, force_create=True)


async def move(conn: Connection, from_user_id: str, to_user_id: str) -> list[Session]:
    """Move all of a user's sessions to another user; return those that were not deleted."""
    visible = Session.filter(user_id=from_user_id, deleted_at__isnull=True).using_db(conn)
    sessions = await visible.order_by("created_at", "id")
    await Session.filter(user_id=from_user_id).using_db(conn).update(user_id=to_user_id)
    for session in sessions:
        session.user_id = to_user_id
    return sessions


async def bury_all(
    conn: Connection, user_id: str, tombstone: Mapping[str, Any], now: datetime
) -> None:
    """Turn all of a user's sessions into tombstones, ENDING until their utterances are deleted.

    Args:
        conn: The transaction.
        user_id: The sessions' owner.
        tombstone: The values that each session gets, by column.
        now: When to tell the participants of running sessions.
    """
    alive = Session.filter(user_id=user_id, deleted_at=None).using_db(conn)
    await alive.filter(status__in=RUNNING).update(**{**tombstone, "tell_by": now})
    await alive.update(**{**tombstone, "status": SessionStatus.ENDING})


async def delete_told_tombstones(conn: Connection, user_id: str) -> bool:
    """Delete a user's tombstones whose participants were told; return whether any are left."""
    left = Session.filter(user_id=user_id).using_db(conn)
    await left.filter(tell_by=None).delete()
    return await left.exists()


async def delete_old_tombstones(conn: Connection, before: datetime) -> None:
    """Delete the tombstones of sessions deleted before this time."""
    await Session.filter(deleted_at__lt=before).using_db(conn).delete()
