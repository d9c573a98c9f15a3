"""Users: people with an account, and guests who may sign up later."""

from tortoise import fields
from tortoise.models import Model

from models import ids


class User(Model):
    """One account; a guest is a row without an e-mail and keeps it when signing up."""

    id = fields.CharField(max_length=ids.LENGTH, primary_key=True, default=ids.new_user)
    email = fields.CharField(max_length=254, null=True, unique=True)
    """Stored case-folded, for comparison; null for a guest."""
    password_hash = fields.CharField(max_length=255, null=True)
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """The table's name."""

        table = "users"

    @property
    def is_guest(self) -> bool:
        """Whether this account has no e-mail yet."""
        return self.email is None
