"""The common part of every sign-in: a new login replaces the browser's old one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agent_bridge.server.tokens import Tokens
from hub.events import AccessRevoked, OwnershipLost, SessionChanged, SessionMoved
from models.database import Connection
from models.repositories import accounts
from models.tables import Session, User
from resolvers.accounts import credentials
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import Viewer

LOGIN_LIFE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A successful sign-in; the secret goes into the cookie and is not stored."""

    user: User
    secret: str
    expires_at: datetime
    browser: tuple[str, timedelta] | None = None
    """The token that identifies the browser later, and its lifetime; None for a guest."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The user to sign in, and the sessions that became theirs."""

    user: User
    moved: Sequence[Session] = ()
    moved_from: str | None = None
    """The sessions' former owner."""


async def enter(
    transactions: Transactions,
    tokens: Tokens,
    viewer: Viewer | None,
    work: Callable[[Connection], Awaitable[Arrival]],
) -> NewLogin:
    """Run the work and sign in the user it returns, in one transaction."""
    old_login_id = viewer.login_id if viewer is not None else None
    secret = credentials.new_login_secret()
    now = transactions.clock()

    async def whole(transaction: Transaction) -> Arrival:
        conn = transaction.conn
        guest = await guest_of(conn, viewer)
        arrival = await work(conn)
        # Each sign-in makes a new secret, so one that somebody planted before is worthless.
        await accounts.delete_login(conn, old_login_id)
        secret_hash = credentials.digest(secret)
        await accounts.add_login(conn, arrival.user.id, secret_hash, now, now + LOGIN_LIFE)
        if guest is not None and guest.id != arrival.user.id:
            await _delete_if_nothing_left(conn, guest)
        if old_login_id is not None:
            transaction.emit(AccessRevoked(old_login_id))
        if arrival.moved_from is not None:
            for session in arrival.moved:
                _tell_moved(transaction, session, arrival.moved_from)
        return arrival

    arrival = await transactions.run(whole)
    user = arrival.user
    browser = None if user.is_guest else tokens.browser(user.id)
    return NewLogin(user, secret, now + LOGIN_LIFE, browser)


async def user_of(conn: Connection, viewer: Viewer | None) -> User | None:
    """Read the signed-in user inside a transaction: the login may just have been revoked."""
    if viewer is None:
        return None
    login = await accounts.login_of(conn, viewer.login_id, viewer.user_id)
    return login.user if login is not None else None


async def guest_of(conn: Connection, viewer: Viewer | None) -> User | None:
    """Return the signed-in guest; None if nobody is signed in, or somebody with an account."""
    user = await user_of(conn, viewer)
    return user if user is not None and user.is_guest else None


def _tell_moved(transaction: Transaction, session: Session, from_user_id: str) -> None:
    transaction.emit(OwnershipLost(session.id, from_user_id))
    transaction.emit(SessionMoved(session.id, from_user_id, session.user_id))
    transaction.emit(
        SessionChanged(session.id, session.user_id, session.state(), is_new_to_user=True)
    )


async def _delete_if_nothing_left(conn: Connection, guest: User) -> None:
    # Another browser may be signed in as the same guest, or a program may hold a token of theirs.
    if not await accounts.has_anything(conn, guest.id):
        await accounts.delete(conn, guest.id)
