"""Finds sessions with a passed deadline."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.database import Connection
from models.repositories.running import RUNNING
from models.tables.session import Session

COLUMNS: Final = (
    "start_by",
    "retry_by",
    "drain_by",
    "agent_retry_by",
    "agent_back_by",
    "person_back_by",
    "tell_by",
)
"""Deadlines that `past_deadline` finds; `purge_by` has a query of its own."""
_OWN: Final = ("agent_retry_by", "person_back_by")
"""Those with a condition of their own."""


async def past_deadline(
    conn: Connection,
    now: datetime,
    most: int,
    *,
    full: Collection[str] = (),
    others: Collection[int] = (),
) -> list[str]:
    """Return up to `most` sessions that have not ended and have a deadline at or before `now`.

    Tombstones are included while participants of the session still have to be told.

    Args:
        conn: The connection to read from.
        now: The time.
        most: The maximum number of sessions.
        full: Names of agents of which no more can be requested; sessions that only wait for one of
            them are left out.
        others: Other processes, which know themselves whether the people of their sessions are
            there; sessions that only wait for a person of theirs are left out.
    """
    due = Q(agent_retry_by__lte=now) & ~Q(agent_name__in=list(full))
    person = Q(person_back_by__lte=now)
    if others:
        person &= Q(held_by__isnull=True) | ~Q(held_by__in=list(others))
    rest: dict[str, Any] = {f"{column}__lte": now for column in COLUMNS if column not in _OWN}
    due |= person | Q(join_type="OR", **rest)
    is_alive_or_untold = Q(deleted_at=None) | Q(tell_by__lte=now)
    due_now = Session.filter(due, is_alive_or_untold, status__in=RUNNING)
    return await _ids(due_now.limit(most).using_db(conn))


async def agents_to_request(conn: Connection, now: datetime) -> list[str]:
    """Return the names of the agents that have to be requested at or before `now`."""
    waiting = Session.filter(agent_retry_by__lte=now, deleted_at=None, status__in=RUNNING)
    names = waiting.distinct().using_db(conn).values_list("agent_name", flat=True)
    return [str(name) for name in await names]


async def buried_with_words(conn: Connection, now: datetime, most: int) -> list[str]:
    """Return up to `most` tombstones that still have utterances to delete."""
    graves = Session.filter(deleted_at__lte=now, purge_by__lte=now, status__in=RUNNING)
    return await _ids(graves.filter(tell_by=None).limit(most).using_db(conn))


async def _ids(sessions: QuerySet[Session]) -> list[str]:
    return [str(id_) for id_ in await sessions.values_list("id", flat=True)]
