"""Logins and tokens that were revoked or have expired, and the streams that end by that."""

from collections.abc import Collection

from models import ApiToken, Login
from models.database import reader, transact
from resolvers.backend import Backend


async def revoked_among(backend: Backend, access_ids: Collection[str]) -> set[str]:
    """Return which of these logins and tokens were revoked or have expired, in two queries.

    Long-lived connections ask this now and then: a commit of another process (`voxql
    user reset-password`) reaches no hub of this one.
    """
    now = backend.clock()
    ids = list(access_ids)
    logins = Login.filter(id__in=ids, expires_at__gt=now).using_db(reader())
    tokens = ApiToken.filter(id__in=ids).using_db(reader())
    good = set(await logins.values_list("id", flat=True))
    for token_id, expires_at in await tokens.values_list("id", "expires_at"):
        if expires_at is None or expires_at > now:
            good.add(token_id)
    return set(ids) - good


async def user_by_access(backend: Backend, access_id: str) -> str | None:
    """Return the user of this login or token, None if it was revoked or has expired."""
    now = backend.clock()
    for kind in (Login, ApiToken):
        found = await kind.filter(id=access_id).using_db(reader()).get_or_none()
        if found is not None and (found.expires_at is None or found.expires_at > now):
            return str(found.user_id)
    return None


async def delete_expired_logins(backend: Backend) -> int:
    """Forget the logins that were revoked or have expired, and return how many there were."""
    now = backend.clock()
    return await transact(lambda conn: Login.filter(expires_at__lte=now).using_db(conn).delete())
