"""Finds logins and tokens that were revoked or have expired."""

from collections.abc import Collection

from models.database import reader, transact
from models.repositories import accounts, api_tokens
from models.tables import ApiToken, Login
from resolvers.clock import Clock


async def revoked_among(clock: Clock, access_ids: Collection[str]) -> set[str]:
    """Return which of these logins and tokens were revoked or have expired, in two queries.

    Long-lived connections are checked from time to time: a commit in another process (`voxql user
    reset-password`) does not reach this one's hub.
    """
    now = clock()
    ids = set(access_ids)
    logins = await accounts.valid_logins(reader(), ids, now)
    return ids - logins - await api_tokens.valid_among(reader(), ids, now)


async def user_by_access(clock: Clock, access_id: str) -> str | None:
    """Return the user of this login or token; None if it was revoked or has expired."""
    now = clock()
    access: Login | ApiToken | None = await accounts.login(reader(), access_id)
    access = access or await api_tokens.get(reader(), access_id)
    if access is None or (access.expires_at is not None and access.expires_at <= now):
        return None
    return str(access.user_id)


async def delete_expired_logins(clock: Clock) -> int:
    """Delete expired logins; return how many there were."""
    now = clock()
    return await transact(lambda conn: accounts.delete_expired_logins(conn, now))
