"""Signing up, signing in, and who a cookie or a token belongs to."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from models import ApiToken, Login, Session, User
from models.database import Connection, IntegrityError, reader, transact, transact_later
from resolvers import credentials
from resolvers.access import signed_in
from resolvers.backend import Backend
from resolvers.events import AccessRevoked
from resolvers.limits import check_email, check_password
from resolvers.records import SessionChanged, access_topic, user_topic
from resolvers.refusals import Conflict, Forbidden, Unauthenticated
from resolvers.viewer import ALL_SCOPES, TokenScope, Viewer

LOGIN_LIFE: Final = timedelta(days=30)
TOUCH_AFTER: Final = timedelta(minutes=1)
"""`last_used_at` of a token is this coarse, so that reading costs no write."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Somebody has signed in; the secret goes into the cookie and is kept nowhere."""

    user: User
    secret: str
    expires_at: datetime


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

    async def work(conn: Connection) -> Entrance:
        user = await _guest_of(conn, viewer) or User(created_at=backend.clock())
        user.email, user.password_hash = email, password_hash
        try:
            await user.save(using_db=conn)
        except IntegrityError:
            raise _taken() from None
        return await _enter(backend, conn, user, viewer)

    return await _entered(backend, viewer, work)


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
    if not await credentials.is_password(password, known.password_hash if known else None):
        raise _wrong()
    limiter.forget(limiter.rates.sign_in_per_email, email)
    moved: list[Session] = []

    async def work(conn: Connection) -> Entrance:
        user = await User.filter(email=email).using_db(conn).get_or_none()
        # The password may have been reset while this one was being checked.
        if user is None or known is None or user.password_hash != known.password_hash:
            raise _wrong()
        guest = await _guest_of(conn, viewer)
        if guest is not None and claim_guest_sessions:
            moved.extend(await _move_sessions(conn, guest, user))
        entrance = await _enter(backend, conn, user, viewer)
        if guest is not None:
            await _delete_if_empty(conn, guest)
        return entrance

    entrance = await _entered(backend, viewer, work)
    for session in moved:
        backend.hub.publish(user_topic(session.user_id), SessionChanged(session.id, session))
    return entrance


async def sign_in_as_guest(
    backend: Backend, viewer: Viewer | None, *, address: str | None = None
) -> Entrance:
    """Sign in without an account; who is signed in already stays who they are."""
    _refuse_token(viewer)
    if viewer is None and address is not None:
        backend.limiter.take(backend.limiter.rates.guest_per_address, address)

    async def work(conn: Connection) -> Entrance:
        user = await _user_of(conn, viewer)
        if user is None:
            user = await User.create(created_at=backend.clock(), using_db=conn)
        return await _enter(backend, conn, user, viewer)

    return await _entered(backend, viewer, work)


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
    """Return whom an API token belongs to, and notes that it was used."""
    tokens = ApiToken.filter(secret_hash=credentials.digest(secret)).using_db(reader())
    token = await tokens.select_related("user").get_or_none()
    now = backend.clock()
    if token is None:
        raise Unauthenticated("This API token is unknown or has been revoked. Make another one.")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthenticated("This API token has expired. Make another one.")
    if token.last_used_at is None or token.last_used_at <= now - TOUCH_AFTER:
        transact_later(lambda conn: _touch(conn, token, now))
    scopes = frozenset(TokenScope(scope) for scope in token.scopes)
    return Viewer(token.user.id, token.user.is_guest, None, token.id, scopes, token.expires_at)


async def viewer_user(backend: Backend, viewer: Viewer | None) -> User:
    """Return the row of who is signed in."""
    viewer = signed_in(viewer)
    user = await User.filter(id=viewer.user_id).using_db(reader()).get_or_none()
    if user is None:
        raise Unauthenticated("This account has been deleted.")
    return user


def publish_revoked(backend: Backend, access_id: str) -> None:
    """End the streams of a login or token that is good no more."""
    backend.hub.publish(access_topic(access_id), AccessRevoked(access_id))


async def _entered(backend: Backend, viewer: Viewer | None, work: _Work) -> Entrance:
    def after(_: Entrance) -> None:
        if viewer is not None and viewer.login_id is not None:
            publish_revoked(backend, viewer.login_id)

    return await transact(work, after)


async def _enter(
    backend: Backend, conn: Connection, user: User, viewer: Viewer | None
) -> Entrance:
    # A new secret at every sign-in: one that somebody planted before is worth nothing after.
    now = backend.clock()
    if viewer is not None and viewer.login_id is not None:
        await Login.filter(id=viewer.login_id).using_db(conn).delete()
    await Login.filter(user_id=user.id, expires_at__lte=now).using_db(conn).delete()
    secret = credentials.new_login_secret()
    login = await Login.create(
        user_id=user.id,
        secret_hash=credentials.digest(secret),
        created_at=now,
        expires_at=now + LOGIN_LIFE,
        using_db=conn,
    )
    return Entrance(user, secret, login.expires_at)


async def _user_of(conn: Connection, viewer: Viewer | None) -> User | None:
    # Read again inside of the transaction: the login may have been revoked since the request came.
    if viewer is None:
        return None
    logins = Login.filter(id=viewer.login_id, user_id=viewer.user_id).using_db(conn)
    login = await logins.select_related("user").get_or_none()
    return login.user if login is not None else None


async def _guest_of(conn: Connection, viewer: Viewer | None) -> User | None:
    user = await _user_of(conn, viewer)
    return user if user is not None and user.is_guest else None


async def _move_sessions(conn: Connection, guest: User, user: User) -> list[Session]:
    await Session.filter(user_id=guest.id).using_db(conn).update(user_id=user.id)
    ...


def _refuse_token(viewer: Viewer | None) -> None:
    # Else a token that may only read could set a guest's password and take the account over.
    if viewer is not None and viewer.token_id is not None:
        raise Forbidden("An API token can't sign in or out. Send this without it.")
