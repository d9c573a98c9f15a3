"""Records of what was done under idempotency keys."""

from datetime import datetime
from typing import Any

from models.database import Connection
from models.tables.idempotency import IdempotencyRecord


async def get(conn: Connection, user_id: str, key: str) -> IdempotencyRecord | None:
    """Read the record of a user's key."""
    records = IdempotencyRecord.filter(user_id=user_id, key=key).using_db(conn)
    return await records.get_or_none()


async def add(conn: Connection, **values: Any) -> None:
    """Add a record; `values` are all its columns."""
    await IdempotencyRecord.create(using_db=conn, **values)


async def delete(conn: Connection, user_id: str, key: str) -> None:
    """Delete the record of a user's key."""
    await IdempotencyRecord.filter(user_id=user_id, key=key).using_db(conn).delete()


async def delete_before(conn: Connection, moment: datetime) -> None:
    """Delete the records from before this time."""
    await IdempotencyRecord.filter(created_at__lt=moment).using_db(conn).delete()
