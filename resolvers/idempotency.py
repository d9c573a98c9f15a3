"""Idempotency keys: a repeated request gets the first outcome again, and has no second effect."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from models.database import Connection
from models.repositories import idempotency
from models.turns import Turns
from resolvers.refusals import Conflict

KEPT_FOR: Final = timedelta(hours=24)


async def fingerprint(request: Sequence[object], items: Sequence[Any] = ()) -> str:
    """Return the SHA-256 of a request and of all its items, however many.

    Args:
        request: What was asked for, in JSON's types.
        items: Objects of a data class; their values are JSON types, enums or times.
    """
    found = hashlib.sha256(_line(request))
    async for item in Turns().of(items):
        found.update(_line([getattr(item, each.name) for each in fields(item)]))
    return found.hexdigest()


def _line(values: Sequence[object]) -> bytes:
    # JSON has no line breaks in it, so different requests never give the same lines.
    return json.dumps(values, default=str).encode() + b"\n"


async def recall(
    conn: Connection, user_id: str, key: str, request_hash: str, now: datetime
) -> dict[str, object] | None:
    """Return what was done under this key, or None.

    Raises:
        Conflict: The key came with other input before.
    """
    record = await idempotency.get(conn, user_id, key)
    if record is None:
        return None
    if record.created_at <= now - KEPT_FOR:
        await idempotency.delete(conn, user_id, key)
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
    """Record the outcome in the transaction that does the work; refusals are never recorded."""
    await idempotency.add(
        conn,
        user_id=user_id,
        key=key,
        request_hash=request_hash,
        outcome=outcome,
        created_at=now,
    )
