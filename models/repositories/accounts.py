"""Users and their logins."""

from collections.abc import Collection, Sequence
from datetime import datetime

from models.database import Connection, engine
from models.tables.api_token import ApiToken
from models.tables.login import Login
from models.tables.session import Session
from models.tables.user import User


async def user(conn: Connection, user_id: str) -> User | None:
    """Read a user."""
    return await User.filter(id=user_id).using_db(conn).get_or_none()


async def by_email(conn: Connection, emails: Sequence[str]) -> User | None:
    """Return the account of the first of these addresses that has one."""
    users = await User.filter(email__in=emails).using_db(conn)
    return min(users, key=lambda one: emails.index(str(one.email)), default=None)


async def with_password(conn: Connection, user_id: str, password_hash: str | None) -> User | None:
    """Read a user if their password hash is still this one."""
    query = User.filter(id=user_id, password_hash=password_hash)
    return await query.using_db(conn).get_or_none()


async def with_email(conn: Connection) -> list[User]:
    """Read all accounts with an e-mail, oldest first."""
    return await User.filter(email__isnull=False).using_db(conn).order_by("created_at", "id")


async def add(conn: Connection, now: datetime) -> User:
    """Create a guest."""
    return await User.create(created_at=now, using_db=conn)


async def lock(conn: Connection, user_id: str) -> None:
    """Lock a user until `conn` commits, so that other processes wait for what is counted."""
    if engine().locks_rows:
        await User.filter(id=user_id).using_db(conn).select_for_update().get_or_none()


async def save(conn: Connection, one: User) -> None:
    """Write a user.

    Raises:
        IntegrityError: Another user has this e-mail.
    """
    await one.save(using_db=conn)


async def delete(conn: Connection, user_id: str) -> None:
    """Delete a user and everything they still have."""
    await User.filter(id=user_id).using_db(conn).delete()


async def has_anything(conn: Connection, user_id: str) -> bool:
    """Return whether a user has a session, an API token or a login."""
    for kind in (Session, ApiToken, Login):
        if await kind.filter(user_id=user_id).using_db(conn).exists():
            return True
    return False


# ---------------------------------------------------------------------- logins


async def login_by_secret(conn: Connection, secret_hash: str, now: datetime) -> Login | None:
    """Read a login that has not expired, with its user."""
    logins = Login.filter(secret_hash=secret_hash, expires_at__gt=now).using_db(conn)
    return await logins.select_related("user").get_or_none()


async def login_of(conn: Connection, login_id: str | None, user_id: str) -> Login | None:
    """Read a user's login, with its user."""
    logins = Login.filter(id=login_id, user_id=user_id).using_db(conn)
    return await logins.select_related("user").get_or_none()


async def login(conn: Connection, login_id: str) -> Login | None:
    """Read a login."""
    return await Login.filter(id=login_id).using_db(conn).get_or_none()


async def valid_logins(conn: Connection, ids: Collection[str], now: datetime) -> set[str]:
    """Return which of these logins have not expired and were not revoked."""
    logins = Login.filter(id__in=ids, expires_at__gt=now).using_db(conn)
    return {str(id_) for id_ in await logins.values_list("id", flat=True)}


async def add_login(
    conn: Connection, user_id: str, secret_hash: str, now: datetime, expires_at: datetime
) -> None:
    """Add a login for a user, and delete their expired ones."""
    await Login.filter(user_id=user_id, expires_at__lte=now).using_db(conn).delete()
    await Login.create(
        user_id=user_id,
        secret_hash=secret_hash,
        created_at=now,
        expires_at=expires_at,
        using_db=conn,
    )


async def delete_login(conn: Connection, login_id: str | None) -> bool:
    """Delete a login; return whether there was one."""
    return await Login.filter(id=login_id).using_db(conn).delete() > 0


async def delete_logins(conn: Connection, user_id: str) -> list[str]:
    """Delete all of a user's logins; return their ids."""
    logins = Login.filter(user_id=user_id).using_db(conn)
    ids = [str(id_) for id_ in await logins.values_list("id", flat=True)]
    await logins.delete()
    return ids


async def delete_expired_logins(conn: Connection, now: datetime) -> int:
    """Delete all expired logins; return how many there were."""
    return await Login.filter(expires_at__lte=now).using_db(conn).delete()
