"""One key, one effect: what was done under an idempotency key, told again instead of done again."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from models import IdempotencyRecord
from models.database import Connection
from resolvers.refusals import Conflict

KEPT_FOR: Final = timedelta(hours=24)


def fingerprint(operation: str, request: Mapping[str, object]) -> str:
    """Return the SHA-256 of an operation and its input."""
    canonical = json.dumps([operation, request], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


async def recall(
    conn: Connection, user_id: str, key: str, request_hash: str, now: datetime
) -> dict[str, object] | None:
    """Return what was done under this key, None if nothing was.

    Raises:
        Conflict: another input came under the same key.
    """
    record = await IdempotencyRecord.filter(user_id=user_id, key=key).using_db(conn).get_or_none()
    if record is None:
        return None
    if record.created_at <= now - KEPT_FOR:
        await record.delete(using_db=conn)
        return None
    if record.request_hash != request_hash:
        raise Conflict(
            "This idempotency key was used for another request. Make a new key for a new request.",
            field=("idempotencyKey",),
        )
    return record.outcome


async def record(
    conn: Connection,
    user_id: str,
    key: str,
    request_hash: str,
    outcome: dict[str, object],
    now: datetime,
) -> None:
    """Note what was done, in the transaction that does it; refusals are never noted."""
    await IdempotencyRecord.create(
        user_id=user_id,
        key=key,
        request_hash=request_hash,
        outcome=outcome,
        created_at=now,
        using_db=conn,
    )
