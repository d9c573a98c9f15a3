"""API tokens, with which programs act for a person; the person or an operator manages them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.events import AccessRevoked
from models import ids
from models.database import Connection, reader, transact
from models.repositories import api_tokens
from models.repositories.api_tokens import TokenQuery
from models.tables import ApiToken
from resolvers.access import check_id, person
from resolvers.accounts import credentials
from resolvers.accounts.registration import user_by_email
from resolvers.clock import Clock
from resolvers.limits import fault_of_name
from resolvers.pages import Cursors, Page, Slice, sliced
from resolvers.refusals import BadUserInput, Forbidden, NotFound, QuotaExceeded
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import TokenScope, Viewer

TOKENS: Final = 100
"""Maximum tokens per account."""
PAGE: Final = 100
DEFAULT: Final = 20
NAME_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A token and its secret, which is shown only now and not stored."""

    api_token: ApiToken
    secret: str


async def create_api_token(
    clock: Clock,
    viewer: Viewer | None,
    *,
    name: str,
    scopes: Sequence[TokenScope],
    expires_at: datetime | None = None,
) -> CreatedToken:
    """Create a token for the viewer's own account."""
    owner = person(viewer)
    return await _create(clock, lambda conn: _id_of(owner), name, scopes, expires_at)


async def create_token_of(
    clock: Clock,
    email: str,
    *,
    name: str,
    scopes: Sequence[TokenScope],
    expires_at: datetime | None = None,
) -> CreatedToken:
    """Create a token for an account, as the operator of the server."""

    async def owner(conn: Connection) -> str:
        return (await user_by_email(conn, email)).id

    return await _create(clock, owner, name, scopes, expires_at)


async def tokens_of(email: str) -> list[ApiToken]:
    """Return the tokens of an account, newest first."""
    user = await user_by_email(reader(), email)
    return list(await api_tokens.of_user(reader(), user.id))


async def revoke_token(transactions: Transactions, token_id: str) -> None:
    """Revoke anybody's token, as the operator of the server."""
    check_id(token_id, ids.API_TOKEN, "an API token", ["id"])

    async def work(transaction: Transaction) -> None:
        if not await api_tokens.delete(transaction.conn, token_id):
            raise NotFound("This API token doesn't exist. It may have been revoked.", field=["id"])
        transaction.emit(AccessRevoked(token_id))

    await transactions.run(work)


async def _id_of(owner: Viewer) -> str:
    return owner.user_id


async def _create(
    clock: Clock,
    owner: Callable[[Connection], Awaitable[str]],
    name: str,
    scopes: Sequence[TokenScope],
    expires_at: datetime | None,
) -> CreatedToken:
    name = _check_name(name)
    if not scopes:
        raise BadUserInput("Give the token at least one permission (scope).", field=["scopes"])
    now = clock()
    if expires_at is not None and expires_at <= now:
        raise BadUserInput(
            "This moment is in the past. Choose one in the future.", field=["expiresAt"]
        )
    secret = credentials.new_token_secret()

    async def work(conn: Connection) -> ApiToken:
        user_id = await owner(conn)
        if await api_tokens.count(conn, user_id) >= TOKENS:
            raise QuotaExceeded(
                f"You already have {TOKENS} tokens. Revoke one that you no longer use."
            )
        return await api_tokens.add(
            conn,
            user_id=user_id,
            name=name,
            secret_hash=credentials.digest(secret),
            prefix=secret[: credentials.SHOWN],
            scopes=[scope.value for scope in TokenScope if scope in scopes],
            created_at=now,
            expires_at=expires_at,
        )

    return CreatedToken(await transact(work), secret)


async def list_api_tokens(viewer: Viewer | None, page: Page) -> Slice[ApiToken]:
    """Return a page of the viewer's tokens, newest first."""
    owner = person(viewer)
    size = page.size(PAGE, DEFAULT)
    cursors = Cursors("api_tokens", owner.user_id)
    query = TokenQuery(owner.user_id)
    after = cursors.moment(page.after, "after")
    before = cursors.moment(page.before, "before")
    rows = await query.page(reader(), after, before, size + 1, backward=page.is_backward)
    return sliced(
        rows,
        size,
        page,
        lambda token: cursors.encode((token.created_at, token.id)),
        lambda: query.count(reader()),
    )


async def revoke_api_token(transactions: Transactions, viewer: Viewer | None, token_id: str) -> str:
    """Revoke one of the viewer's tokens at once, and end the streams it opened."""
    owner = person(viewer)
    check_id(token_id, ids.API_TOKEN, "an API token", ["id"])

    async def work(transaction: Transaction) -> None:
        conn = transaction.conn
        token = await api_tokens.get(conn, token_id)
        if token is None:
            raise NotFound("This API token doesn't exist. It may have been revoked.", field=["id"])
        if token.user_id != owner.user_id:
            raise Forbidden("This API token belongs to someone else.", field=["id"])
        await api_tokens.delete(conn, token_id)
        transaction.emit(AccessRevoked(token_id))

    await transactions.run(work)
    return token_id


def _check_name(value: str) -> str:
    name = value.strip()
    if fault := fault_of_name(name, NAME_LENGTH):
        raise BadUserInput(f"A name {fault}.", field=["name"])
    return name
