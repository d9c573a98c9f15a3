"""Signing up, in and out, who a cookie or a token belongs to, and what an operator may do."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from tortoise.expressions import Q

from models import ApiToken, Login, Session, User
from models.database import Connection, IntegrityError, reader, transact, transact_later
from resolvers import credentials
from resolvers.access import signed_in
from resolvers.backend import Backend
from resolvers.entrance import (
    Arrival,
    Entrance,
    enter,
    guest_of,
    move_sessions,
    publish_revoked,
    user_of,
)
from resolvers.limits import check_email, check_password
from resolvers.refusals import Conflict, Forbidden, NotFound, Unauthenticated
from resolvers.viewer import ALL_SCOPES, TokenScope, Viewer

TOUCH_AFTER: Final = timedelta(minutes=1)
"""`last_used_at` of a token is this coarse, so that reading seldom costs a write."""

_touching: set[str] = set()


async def sign_up(
    backend: Backend,
    viewer: Viewer | None,
    *,
    email: str,
    password: str,
    address: str | None = None,
) -> Entrance:
    """Make an account; a guest's own row becomes it, with everything that it has."""
    _refuse_token(viewer)
    email = check_email(email, ["email"])
    password = check_password(password, ["password"])
    if address is not None:
        backend.limiter.take(backend.limiter.rates.sign_up_per_address, address)
    password_hash = await credentials.hash_of(password)

    async def work(conn: Connection) -> Arrival:
        user = await guest_of(conn, viewer) or User(created_at=backend.clock())
        return Arrival(await _claim_email(conn, user, email, password_hash))

    return await enter(backend, viewer, work)


async def sign_in(
    backend: Backend,
    viewer: Viewer | None,
    *,
    email: str,
    password: str,
    claim_guest_sessions: bool = False,
    address: str | None = None,
) -> Entrance:
    """Sign in; on demand the conversations of the guest that the browser was come along."""
    _refuse_token(viewer)
    email = check_email(email, ["email"])
    password = check_password(password, ["password"])
    limiter = backend.limiter
    if address is not None:
        limiter.take(limiter.rates.sign_in_per_address, address)
    limiter.take(limiter.rates.sign_in_per_email, email)
    known = await User.filter(email=email).using_db(reader()).get_or_none()
    is_right = await credentials.is_password(password, known.password_hash if known else None)
    if known is None or not is_right:
        raise _wrong()
    limiter.forget(limiter.rates.sign_in_per_email, email)

    async def work(conn: Connection) -> Arrival:
        # The password may have been reset while this one was being checked.
        same = User.filter(id=known.id, password_hash=known.password_hash).using_db(conn)
        user = await same.get_or_none()
        if user is None:
            raise _wrong()
        guest = await guest_of(conn, viewer)
        if guest is None or not claim_guest_sessions:
            return Arrival(user)
        return Arrival(user, await move_sessions(conn, guest, user))

    return await enter(backend, viewer, work)


async def sign_in_as_guest(
    backend: Backend, viewer: Viewer | None, *, address: str | None = None
) -> Entrance:
    """Sign in without an account; who is signed in already stays who they are."""
    _refuse_token(viewer)
    if viewer is None and address is not None:
        backend.limiter.take(backend.limiter.rates.guest_per_address, address)

    async def work(conn: Connection) -> Arrival:
        user = await user_of(conn, viewer)
        return Arrival(user or await User.create(created_at=backend.clock(), using_db=conn))

    return await enter(backend, viewer, work)


async def sign_out(backend: Backend, viewer: Viewer | None) -> bool:
    """Make the browser's login worthless; False if it had none."""
    _refuse_token(viewer)
    if viewer is None or viewer.login_id is None:
        return False
    login_id = viewer.login_id
    deleted = await transact(
        lambda conn: Login.filter(id=login_id).using_db(conn).delete(),
        after=lambda _: publish_revoked(backend, login_id),
    )
    return deleted > 0


async def viewer_of_login(backend: Backend, secret: str) -> Viewer | None:
    """Return whom a cookie belongs to; None if it is unknown or has expired."""
    logins = Login.filter(
        secret_hash=credentials.digest(secret), expires_at__gt=backend.clock()
    ).using_db(reader())
    login = await logins.select_related("user").get_or_none()
    if login is None:
        return None
    user = login.user
    return Viewer(user.id, user.is_guest, login.id, None, ALL_SCOPES, login.expires_at)


async def viewer_of_token(backend: Backend, secret: str) -> Viewer:
    """Return whom an API token belongs to, and note that it was used."""
    tokens = ApiToken.filter(secret_hash=credentials.digest(secret)).using_db(reader())
    token = await tokens.select_related("user").get_or_none()
    now = backend.clock()
    if token is None:
        raise Unauthenticated("This API token is unknown or has been revoked. Make another one.")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthenticated("This API token has expired. Make another one.")
    if token.last_used_at is None or token.last_used_at <= now - TOUCH_AFTER:
        _touch(token.id, now)
    scopes = frozenset(TokenScope(scope) for scope in token.scopes)
    return Viewer(token.user.id, token.user.is_guest, None, token.id, scopes, token.expires_at)
