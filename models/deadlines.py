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
    """Find up to `most` sessions with a deadline at or before `now`, and which are not over.

    A tombstone has a deadline where those who take part in the session are still to be told, or
    words of it still to be deleted.
    """
    due: dict[str, Any] = {f"{column}__lte": now for column in COLUMNS}
    return Session.filter(Q(join_type="OR", **due), status__in=RUNNING).limit(most)
