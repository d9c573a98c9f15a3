"""API tokens."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tortoise.expressions import Q

from models.database import Connection
from models.tables.api_token import ApiToken

Position = tuple[datetime, str]
"""(created_at, id) of the token next to which a page begins or ends."""


async def get(conn: Connection, token_id: str) -> ApiToken | None:
    """Read a token."""
    return await ApiToken.filter(id=token_id).using_db(conn).get_or_none()


async def by_secret(conn: Connection, secret_hash: str) -> ApiToken | None:
    """Read a token, with its user."""
    tokens = ApiToken.filter(secret_hash=secret_hash).using_db(conn)
    return await tokens.select_related("user").get_or_none()


async def of_user(
    conn: Connection, user_id: str, ids: Collection[str] | None = None
) -> Sequence[ApiToken]:
    """Read a user's tokens, newest first; if ids are given, only these."""
    tokens = ApiToken.filter(user_id=user_id).using_db(conn)
    if ids is not None:
        tokens = tokens.filter(id__in=ids)
    return await tokens.order_by("-created_at", "-id")


async def valid_among(conn: Connection, ids: Collection[str], now: datetime) -> set[str]:
    """Return which of these tokens have not expired and were not revoked."""
    tokens = ApiToken.filter(id__in=ids).using_db(conn)
    return {
        str(id_)
        for id_, expires_at in await tokens.values_list("id", "expires_at")
        if expires_at is None or expires_at > now
    }


async def count(conn: Connection, user_id: str) -> int:
    """Count a user's tokens."""
    return await ApiToken.filter(user_id=user_id).using_db(conn).count()


async def add(conn: Connection, **values: Any) -> ApiToken:
    """Create a token from these column values."""
    return await ApiToken.create(using_db=conn, **values)


async def note_use(conn: Connection, token_id: str, now: datetime) -> None:
    """Record when a token was last used."""
    await ApiToken.filter(id=token_id).using_db(conn).update(last_used_at=now)


async def delete(conn: Connection, token_id: str) -> bool:
    """Delete a token; return whether there was one."""
    return await ApiToken.filter(id=token_id).using_db(conn).delete() > 0


async def delete_of_user(conn: Connection, user_id: str) -> list[str]:
    """Delete all of a user's tokens; return their ids."""
    tokens = ApiToken.filter(user_id=user_id).using_db(conn)
    ids = [str(id_) for id_ in await tokens.values_list("id", flat=True)]
    await tokens.delete()
    return ids


@dataclass(frozen=True, slots=True)
class TokenQuery:
    """One user's tokens, newest first."""

    user_id: str

    async def page(
        self,
        conn: Connection,
        after: Position | None,
        before: Position | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> list[ApiToken]:
        """Read the first (or last) `limit` tokens between the two positions, in order."""
        query = ApiToken.filter(user_id=self.user_id).using_db(conn)
        if after is not None:
            moment, row_id = after
            query = query.filter(
                Q(created_at__lt=moment) | Q(id__lt=row_id), created_at__lte=moment
            )
        if before is not None:
            moment, row_id = before
            query = query.filter(
                Q(created_at__gt=moment) | Q(id__gt=row_id), created_at__gte=moment
            )
        if backward:
            return (await query.order_by("created_at", "id").limit(limit))[::-1]
        return await query.order_by("-created_at", "-id").limit(limit)

    async def count(self, conn: Connection) -> int:
        """Count the tokens on all pages."""
        return await count(conn, self.user_id)
