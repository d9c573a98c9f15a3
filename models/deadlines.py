"""Which sessions have a deadline that has passed."""

from datetime import datetime
from typing import Any, Final

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.running import RUNNING
from models.session import Session

COLUMNS: Final = (
    "start_by",
    "retry_by",
    "drain_by",
    "agent_retry_by",
    "agent_back_by",
    "person_back_by",
)


def past_deadline(now: datetime, most: int) -> QuerySet[Session]:
    """Find up to `most` running sessions with a deadline at or before `now`."""
    due: dict[str, Any] = {f"{column}__lte": now for column in COLUMNS}
    return Session.filter(Q(join_type="OR", **due), status__in=RUNNING, deleted_at=None).limit(most)
