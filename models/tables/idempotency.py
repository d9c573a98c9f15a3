"""What requests with an idempotency key have already done."""

from tortoise import fields
from tortoise.models import Model

from models.tables.user import User


class IdempotencyRecord(Model):
    """One key of one user, written in the transaction whose effect it stands for."""

    number = fields.BigIntField(primary_key=True)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField(
        "models.User", "idempotency_records"
    )
    user_id: str
    key = fields.CharField(max_length=128)
    request_hash = fields.CharField(max_length=64)
    """SHA-256 of the operation and its input; the same key with different input is a conflict."""
    outcome: fields.Field[dict[str, object]] = fields.JSONField()
    """Data to rebuild the first response from: ids and counts, never texts or secrets."""
    created_at = fields.DatetimeField(auto_now_add=True)

    class Meta:
        """The table's name and unique constraint."""

        table = "idempotency_records"
        unique_together = (("user", "key"),)
