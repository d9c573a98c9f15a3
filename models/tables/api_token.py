"""API tokens, with which an integrator's program acts for a user."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models import ids
from models.tables.user import User


class ApiToken(Model):
    """One `vox_…` secret; shown once, kept as its SHA-256, gone when revoked."""

    id = fields.CharField(max_length=ids.LENGTH, primary_key=True, default=ids.new_api_token)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", "api_tokens")
    user_id: str
    name = fields.CharField(max_length=200)
    secret_hash = fields.CharField(max_length=64, unique=True)
    prefix = fields.CharField(max_length=16)
    """The secret's first characters, so that people can tell tokens apart."""
    scopes: fields.Field[list[str]] = fields.JSONField()
    """Names of TokenScope members."""
    created_at = fields.DatetimeField(auto_now_add=True)
    last_used_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)

    class Meta:
        """The table's name and index."""

        table = "api_tokens"
        indexes = (Index(fields=("user_id", "created_at", "id"), name="api_tokens_list"),)
