"""Counts the conversations that have not ended."""

from typing import Final

from tortoise.functions import Count

from models.database import reader
from models.tables.session import Session, SessionStatus

RUNNING: Final = [status for status in SessionStatus if status is not SessionStatus.ENDED]


async def running_by_status() -> dict[str, int]:
    """Return their number by status, including zeros; deleted sessions are not counted."""
    rows = (
        await Session.filter(status__in=RUNNING, deleted_at=None)
        .using_db(reader())
        .annotate(number=Count("id"))
        .group_by("status")
        .values_list("status", "number")
    )
    return {status.value: 0 for status in RUNNING} | {str(key): number for key, number in rows}
