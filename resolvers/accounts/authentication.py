"""Signs people up, in and out, identifies them by cookie or token, and serves the operator."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from agent_bridge.server.tokens import KnownBrowser, Tokens
from hub.events import AccessRevoked
from models.database import Connection, reader, transact, transact_later
from models.repositories import accounts, api_tokens, sessions
from models.repositories.transcript import delete_some_of_user
from models.tables import User
from resolvers.access import signed_in
from resolvers.accounts import credentials
from resolvers.accounts.login import Arrival, NewLogin, enter, guest_of, user_of
from resolvers.accounts.rate_limits import RateLimits
from resolvers.accounts.registration import claim_email, hash_of_new, user_by_email
from resolvers.clock import Clock
from resolvers.limits import check_known_email, check_new_email, check_password
from resolvers.refusals import Forbidden, Unauthenticated
from resolvers.sessions import lifecycle
from resolvers.sessions.manage import WORDS_AT_ONCE
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import ALL_SCOPES, TokenScope, Viewer

TOUCH_AFTER: Final = timedelta(minutes=1)
"""The resolution of a token's `last_used_at`, so that reads seldom cost a write."""
LET_OTHERS_S: Final = 0.05
"""Seconds between two batches of deleted utterances, so that other processes get SQLite's lock."""
WORDS_LEFT_AFTER: Final = timedelta(minutes=1)
"""How long after an account's deletion the reaper takes over deleting its utterances."""

_touching: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Signs people up and in, and limits how often that is tried."""

    transactions: Transactions
    tokens: Tokens
    limiter: RateLimits

    async def sign_up(
        self, viewer: Viewer | None, *, email: str, password: str, address: str | None = None
    ) -> NewLogin:
        """Create an account; a guest's own row becomes the account, with everything it has."""
        _refuse_token(viewer)
        emails = check_new_email(email, ["email"])
        password = check_password(password, ["password"])
        credentials.check_line()
        await self.limiter.take_from(self.limiter.rates.sign_up_per_address, address)
        password_hash = await hash_of_new(password, emails[0])

        async def work(conn: Connection) -> Arrival:
            user = await guest_of(conn, viewer) or User(created_at=self.transactions.clock())
            return Arrival(await claim_email(conn, user, emails, password_hash))

        return await enter(self.transactions, self.tokens, viewer, work)

    async def sign_in(
        self,
        viewer: Viewer | None,
        *,
        email: str,
        password: str,
        claim_guest_sessions: bool = False,
        address: str | None = None,
        browser: KnownBrowser | None = None,
    ) -> NewLogin:
        """Sign in; on request, the conversations of the browser's guest move to the account.

        Attempts are counted by e-mail and address, and by e-mail alone. A browser that has signed
        in to the account before is counted separately: wrong passwords from elsewhere don't lock it
        out.
        """
        _refuse_token(viewer)
        emails = check_known_email(email, ["email"])
        # Count attempts together however the address is written.
        email = emails[0]
        password = check_password(password, ["password"])
        credentials.check_line()
        limiter = self.limiter
        await limiter.take_from(limiter.rates.sign_in_per_address, address)
        known = await accounts.by_email(reader(), emails)
        by_browser = known is not None and browser is not None and browser.user_id == known.id
        if by_browser and browser is not None:
            await limiter.take(limiter.rates.sign_in_per_browser, browser.id)
        else:
            await limiter.take_from(limiter.rates.sign_in_per_email_and_address, address, email)
            await limiter.take(limiter.rates.sign_in_per_email, email)
        is_right = await credentials.is_password(password, known.password_hash if known else None)
        if known is None or not is_right:
            raise _wrong()
        if by_browser and browser is not None:
            await limiter.forget(limiter.rates.sign_in_per_browser, browser.id)
        else:
            await limiter.forget_from(limiter.rates.sign_in_per_email_and_address, address, email)
            await limiter.take_back(limiter.rates.sign_in_per_email, email)

        async def work(conn: Connection) -> Arrival:
            # The password may have been reset while this one was being checked.
            user = await accounts.with_password(conn, known.id, known.password_hash)
            if user is None:
                raise _wrong()
            guest = await guest_of(conn, viewer)
            if guest is None or not claim_guest_sessions:
                return Arrival(user)
            return Arrival(user, await sessions.move(conn, guest.id, user.id), guest.id)

        return await enter(self.transactions, self.tokens, viewer, work)

    async def sign_in_as_guest(
        self, viewer: Viewer | None, *, address: str | None = None
    ) -> NewLogin:
        """Sign in as a guest; a viewer who is signed in already stays who they are."""
        _refuse_token(viewer)
        if viewer is None:
            await self.limiter.take_from(self.limiter.rates.guest_per_address, address)

        async def work(conn: Connection) -> Arrival:
            user = await user_of(conn, viewer)
            return Arrival(user or await accounts.add(conn, self.transactions.clock()))

        return await enter(self.transactions, self.tokens, viewer, work)


async def sign_out(transactions: Transactions, viewer: Viewer | None) -> bool:
    """End the browser's login; False if it had none."""
    _refuse_token(viewer)
    if viewer is None or viewer.login_id is None:
        return False
    login_id = viewer.login_id

    async def work(transaction: Transaction) -> bool:
        transaction.emit(AccessRevoked(login_id))
        return await accounts.delete_login(transaction.conn, login_id)

    return await transactions.run(work)


async def viewer_of_login(clock: Clock, secret: str) -> Viewer | None:
    """Return the viewer a cookie belongs to; None if it is unknown or has expired."""
    login = await accounts.login_by_secret(reader(), credentials.digest(secret), clock())
    if login is None:
        return None
    user = login.user
    return Viewer(user.id, user.is_guest, login.id, None, ALL_SCOPES, login.expires_at)


async def viewer_of_token(clock: Clock, secret: str) -> Viewer:
    """Return the viewer an API token belongs to, and note that it was used."""
    token = await api_tokens.by_secret(reader(), credentials.digest(secret))
    now = clock()
    if token is None:
        raise Unauthenticated("This API token is unknown or has been revoked. Make another one.")
    if token.expires_at is not None and token.expires_at <= now:
        raise Unauthenticated("This API token has expired. Make another one.")
    if token.last_used_at is None or token.last_used_at <= now - TOUCH_AFTER:
        _touch(token.id, now)
    scopes = frozenset(TokenScope(scope) for scope in token.scopes)
    return Viewer(token.user.id, token.user.is_guest, None, token.id, scopes, token.expires_at)


async def viewer_user(viewer: Viewer | None) -> User:
    """Return the row of the user who is signed in."""
    viewer = signed_in(viewer)
    user = await accounts.user(reader(), viewer.user_id)
    if user is None:
        raise Unauthenticated("This account has been deleted. Sign in with another.")
    return user


async def create_user(clock: Clock, email: str, password: str) -> User:
    """Create an account as the operator, without signing anybody in."""
    emails = check_new_email(email, ["email"])
    password_hash = await hash_of_new(check_password(password, ["password"]), emails[0])
    user = User(created_at=clock())
    return await transact(lambda conn: claim_email(conn, user, emails, password_hash))


async def list_users() -> list[User]:
    """Return all accounts with an e-mail, oldest first."""
    return await accounts.with_email(reader())


async def reset_password(transactions: Transactions, email: str, password: str) -> None:
    """Change an account's password and end all of its logins; API tokens stay valid."""
    password_hash = await hash_of_new(check_password(password, ["password"]), email)

    async def work(transaction: Transaction) -> None:
        conn = transaction.conn
        user = await user_by_email(conn, email)
        user.password_hash = password_hash
        await accounts.save(conn, user)
        for ended in await accounts.delete_logins(conn, user.id):
            transaction.emit(AccessRevoked(ended))

    await transactions.run(work)


async def delete_user(transactions: Transactions, email: str) -> None:
    """Delete an account with all of its conversations, logins and tokens.

    From the start, nobody can sign in or read anything. The utterances are deleted in batches, so
    that nobody waits for them. The reaper tells the participants of running conversations, since
    this may run in a process that none of them is connected to. It also deletes the remaining
    utterances if this process is killed.
    """

    async def close(transaction: Transaction) -> str:
        conn = transaction.conn
        user = await user_by_email(conn, email)
        revoked = await accounts.delete_logins(conn, user.id)
        for access_id in revoked + await api_tokens.delete_of_user(conn, user.id):
            transaction.emit(AccessRevoked(access_id))
        user.email = user.password_hash = None
        await accounts.save(conn, user)
        await _bury_all(conn, user.id, transactions.clock())
        return user.id

    user_id = await transactions.run(close)

    async def empty(conn: Connection) -> bool:
        return await delete_some_of_user(conn, user_id, WORDS_AT_ONCE)

    async def remove(conn: Connection) -> None:
        # Again, for sessions created by requests from before the account was closed.
        await _bury_all(conn, user_id, transactions.clock())
        if await sessions.delete_told_tombstones(conn, user_id):
            # Tombstones of running sessions need an owner: an anonymous user.
            nobody = await accounts.add(conn, transactions.clock())
            await sessions.move(conn, user_id, nobody.id)
        await accounts.delete(conn, user_id)

    has_more = True
    while has_more:
        has_more = await transact(empty)
        await asyncio.sleep(LET_OTHERS_S)
    await transact(remove)


async def _bury_all(conn: Connection, user_id: str, now: datetime) -> None:
    """Leave tombstones: they tell the server's process what to end and what is left to delete."""
    # Late enough that the reaper only takes over if this process was killed.
    grave = {**lifecycle.tombstone(now), "purge_by": now + WORDS_LEFT_AFTER}
    await sessions.bury_all(conn, user_id, grave, now)


def _touch(token_id: str, now: datetime) -> None:
    # Requests that arrive before the first one's write is done do not write again.
    if token_id in _touching:
        return
    _touching.add(token_id)

    async def work(conn: Connection) -> None:
        try:
            await api_tokens.note_use(conn, token_id, now)
        finally:
            _touching.discard(token_id)

    transact_later(work)


def _wrong() -> Unauthenticated:
    # The same for an unknown e-mail as for a wrong password: don't reveal who has an account.
    return Unauthenticated("Wrong e-mail or password.")


def _refuse_token(viewer: Viewer | None) -> None:
    # Otherwise a read-only token could set a guest's password and take over the account.
    if viewer is not None and viewer.token_id is not None:
        raise Forbidden("An API token can't sign up, in or out. Send this without it.")
