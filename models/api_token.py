"""A key with which an integrator's program acts for a user."""

from dataclasses import dataclass
from datetime import datetime

from tortoise import fields
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import Q
from tortoise.indexes import Index
from tortoise.models import Model

from models import ids
from models.user import User


class ApiToken(Model):
    """One `vox_…` secret; shown once, kept as its SHA-256, gone when revoked."""

    id = fields.CharField(max_length=ids.LENGTH, primary_key=True, default=ids.new_api_token)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", "api_tokens")
    user_id: str
    name = fields.CharField(max_length=200)
    secret_hash = fields.CharField(max_length=64, unique=True)
    prefix = fields.CharField(max_length=16)
    """The first characters of the secret, by which a person tells tokens apart."""
    scopes: fields.Field[list[str]] = fields.JSONField()
    """Names of TokenScope members."""
    created_at = fields.DatetimeField(auto_now_add=True)
    last_used_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)

    class Meta:
        """Where the rows are kept, and how they are found."""

        table = "api_tokens"
        indexes = (Index(fields=("user_id", "created_at", "id"), name="api_tokens_list"),)


Position = tuple[datetime, str]
"""(created_at, id) of a token beside which a page begins or ends."""


@dataclass(frozen=True, slots=True)
class TokenQuery:
    """The tokens of one user, newest first."""

    user_id: str

    async def page(
        self,
        conn: BaseDBAsyncClient,
        after: Position | None,
        before: Position | None,
        limit: int,
        *,
        backward: bool = False,
    ) -> list[ApiToken]:
        """Read the first `limit` between the two positions, or the last ones, in order."""
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

    async def count(self, conn: BaseDBAsyncClient) -> int:
        """Count the tokens on all pages."""
        return await ApiToken.filter(user_id=self.user_id).using_db(conn).count()
