"""Browsers that are signed in."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models import ids
from models.tables.user import User


class Login(Model):
    """One cookie; only the SHA-256 of its secret is kept, so a stolen database signs nobody in."""

    id = fields.CharField(max_length=ids.LENGTH, primary_key=True, default=ids.new_login)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", "logins")
    user_id: str
    secret_hash = fields.CharField(max_length=64, unique=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField()

    class Meta:
        """The table's name and index."""

        table = "logins"
        indexes = (Index(fields=("user_id",), name="logins_user"),)
