"""The utterances of one conversation, in their order, a page at a time."""

from dataclasses import dataclass

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.database import Connection
from models.utterance import Utterance

Position = tuple[float, str]
"""(position, id) of an utterance beside which a page begins or ends."""


@dataclass(frozen=True, slots=True)
class TranscriptQuery:
    """Which utterances of a session are wanted; `is_final=None` means: whichever."""

    session_id: str
    is_final: bool | None = None

    async def page(
        self,
        conn: Connection,
        after: Position | None,
        before: Position | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> list[Utterance]:
        """Read the first `limit` between the two positions, or the last ones, in order."""
        query = self._all(conn)
        # Written `a >= x AND (a > x OR b > y)` because SQLite seeks to the first half along the
        # index utterances_order, and scans for `a > x OR (a = x AND b > y)`.
        if after is not None:
            place, row_id = after
            query = query.filter(Q(position__gt=place) | Q(id__gt=row_id), position__gte=place)
        if before is not None:
            place, row_id = before
            query = query.filter(Q(position__lt=place) | Q(id__lt=row_id), position__lte=place)
        if backward:
            return (await query.order_by("-position", "-id").limit(limit))[::-1]
        return await query.order_by("position", "id").limit(limit)

    async def count(self, conn: Connection) -> int:
        """Count the utterances on all pages."""
        return await self._all(conn).count()

    def _all(self, conn: Connection) -> QuerySet[Utterance]:
        query = Utterance.filter(session_id=self.session_id).using_db(conn)
        return query if self.is_final is None else query.filter(is_final=self.is_final)
