"""API tokens: shown once, valid until revoked or expired, and unable to manage tokens."""

import asyncio
import re
from datetime import timedelta

import pytest

from hub.events import AccessRevoked, access_topic
from models import ids
from models.database import settled
from resolvers import revocation
from resolvers.accounts import api_tokens, authentication
from resolvers.accounts.api_tokens import CreatedToken
from resolvers.backend import Backend
from resolvers.pages import Page
from resolvers.refusals import (
    BadUserInput,
    Forbidden,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
)
from resolvers.viewer import TokenScope, Viewer
from tests.dump import dump
from tests.resolvers.names import SHOWABLE, UNSHOWABLE
from tests.resolvers.people import Clock, viewer_for
from tests.resolvers.refused import refused
from tests.rows import add_user

READ = [TokenScope.SESSIONS_READ]


@pytest.fixture
async def ada(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("ada@example.com"))


@pytest.fixture
async def bob(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("bob@example.com"))


async def _create(backend: Backend, viewer: Viewer, name: str = "script") -> CreatedToken:
    return await api_tokens.create_api_token(backend.clock, viewer, name=name, scopes=READ)


async def test_a_token_acts_for_its_owner_within_its_scopes(backend: Backend, ada: Viewer) -> None:
    """The secret is returned once and never stored; its prefix identifies the token."""
    scopes = [TokenScope.SESSIONS_WRITE, TokenScope.SESSIONS_READ, TokenScope.SESSIONS_READ]
    created = await api_tokens.create_api_token(
        backend.clock, ada, name=" my script ", scopes=scopes
    )
    token = created.api_token
    assert re.fullmatch(r"vox_[0-9A-Za-z]{43}", created.secret)
    assert token.prefix == created.secret[:12]
    assert token.name == "my script"
    assert token.scopes == ["SESSIONS_READ", "SESSIONS_WRITE"]
    assert created.secret not in str(await dump())
    viewer = await authentication.viewer_of_token(backend.clock, created.secret)
    wanted = frozenset({TokenScope.SESSIONS_READ, TokenScope.SESSIONS_WRITE})
    assert viewer == Viewer(ada.user_id, False, None, token.id, wanted, None)


@pytest.mark.parametrize("secret", ["", "vox_", "vox_" + "0" * 43, "Bearer x", "\0", "\ud800"])
async def test_an_unknown_token_is_refused(backend: Backend, secret: str) -> None:
    """Unlike a stale cookie: the program that sent it can't ask anyone to sign in."""
    async with refused(Unauthenticated, says="unknown or has been revoked"):
        await authentication.viewer_of_token(backend.clock, secret)


async def test_an_expired_token_is_refused(backend: Backend, ada: Viewer, clock: Clock) -> None:
    """It stays in the list, so that its owner sees why the program fails."""
    created = await api_tokens.create_api_token(
        backend.clock, ada, name="brief", scopes=READ, expires_at=clock() + timedelta(hours=1)
    )
    viewer = await authentication.viewer_of_token(backend.clock, created.secret)
    assert viewer.expires_at == clock() + timedelta(hours=1)
    await settled()
    clock.pass_by(hours=1)
    async with refused(Unauthenticated, says="expired"):
        await authentication.viewer_of_token(backend.clock, created.secret)
    assert await revocation.revoked_among(backend.clock, [viewer.access_id]) == {viewer.access_id}
    page = await api_tokens.list_api_tokens(ada, Page())
    assert [token.name for token in page.items] == ["brief"]


async def test_use_is_noted_at_most_once_a_minute(
    backend: Backend, ada: Viewer, clock: Clock
) -> None:
    """A hundred requests at once cause one write; a minute later there is another."""
    created = await _create(backend, ada)

    async def last_used() -> object:
        await settled()
        page = await api_tokens.list_api_tokens(ada, Page())
        return page.items[0].last_used_at

    assert await last_used() is None
    first = clock()
    await asyncio.gather(
        *(authentication.viewer_of_token(backend.clock, created.secret) for _ in range(100))
    )
    assert await last_used() == first
    clock.pass_by(seconds=59)
    await authentication.viewer_of_token(backend.clock, created.secret)
    assert await last_used() == first
    clock.pass_by(seconds=1)
    await authentication.viewer_of_token(backend.clock, created.secret)
    assert await last_used() == clock()


async def test_revoking_ends_a_token_at_once(backend: Backend, ada: Viewer) -> None:
    """Its streams end too."""
    created = await _create(backend, ada)
    token_id = created.api_token.id
    with backend.hub.subscribe(access_topic(token_id)) as heard:
        assert await api_tokens.revoke_api_token(backend.transactions, ada, token_id) == token_id
    assert heard.take() == AccessRevoked(token_id)
    async with refused(Unauthenticated):
        await authentication.viewer_of_token(backend.clock, created.secret)
    async with refused(NotFound, ["id"]):
        await api_tokens.revoke_api_token(backend.transactions, ada, token_id)


async def test_what_can_not_be_revoked(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """Another user's token, an unknown one and malformed ids are refused."""
    theirs = (await _create(backend, bob)).api_token.id
    async with refused(Forbidden, ["id"]):
        await api_tokens.revoke_api_token(backend.transactions, ada, theirs)
    async with refused(NotFound, ["id"]):
        await api_tokens.revoke_api_token(backend.transactions, ada, ids.new_api_token())
    for malformed in ("", "tok_x", ids.new_session(), theirs.upper(), theirs + "\n", "\ud800"):
        async with refused(BadUserInput, ["id"]):
            await api_tokens.revoke_api_token(backend.transactions, ada, malformed)
    async with refused(Unauthenticated):
        await api_tokens.revoke_api_token(backend.transactions, None, theirs)


async def test_a_token_is_not_its_own_master(backend: Backend, ada: Viewer) -> None:
    """A token can't create, list or revoke tokens."""
    created = await _create(backend, ada)
    token = await authentication.viewer_of_token(backend.clock, created.secret)
    await settled()
    async with refused(Forbidden, says="An API token can't"):
        await _create(backend, token)
    async with refused(Forbidden):
        await api_tokens.list_api_tokens(token, Page())
    async with refused(Forbidden):
        await api_tokens.revoke_api_token(backend.transactions, token, created.api_token.id)


async def test_what_a_token_can_not_be(backend: Backend, ada: Viewer, clock: Clock) -> None:
    """A token needs a name, a scope, a future expiry and a signed-in owner."""
    for name in UNSHOWABLE:
        async with refused(BadUserInput, ["name"]):
            await _create(backend, ada, name)
    async with refused(BadUserInput, ["scopes"]):
        await api_tokens.create_api_token(backend.clock, ada, name="x", scopes=[])
    async with refused(BadUserInput, ["expiresAt"]):
        await api_tokens.create_api_token(
            backend.clock, ada, name="x", scopes=READ, expires_at=clock()
        )
    async with refused(Unauthenticated):
        await api_tokens.create_api_token(backend.clock, None, name="x", scopes=READ)


async def test_a_token_may_have_a_name_of_any_language(backend: Backend, ada: Viewer) -> None:
    """The name is kept unchanged."""
    for name in SHOWABLE:
        assert (await _create(backend, ada, name)).api_token.name == name


async def test_an_account_has_so_many_tokens(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """One more exceeds the quota until a token is revoked; other users have their own quota."""
    for _ in range(api_tokens.TOKENS):
        last = await _create(backend, ada)
    async with refused(QuotaExceeded, says="Revoke one"):
        await _create(backend, ada)
    await _create(backend, bob)
    await api_tokens.revoke_api_token(backend.transactions, ada, last.api_token.id)
    await _create(backend, ada)


async def test_the_list_goes_page_by_page(
    backend: Backend, ada: Viewer, bob: Viewer, clock: Clock
) -> None:
    """Newest first, only the viewer's own, each once, even those created at the same moment."""
    await _create(backend, bob)
    made = []
    for number in range(7):
        made.append((await _create(backend, ada, f"token {number}")).api_token.id)
        clock.pass_by(seconds=number % 2)
    seen: list[str] = []
    page = await api_tokens.list_api_tokens(ada, Page(first=3))
    assert await page.count() == 7
    assert not page.has_previous
    while True:
        seen += [token.id for token in page.items]
        if not page.has_next:
            break
        page = await api_tokens.list_api_tokens(ada, Page(first=3, after=page.cursors[-1]))
        assert page.has_previous
    assert seen == made[::-1]
    async with refused(BadUserInput, ["after"]):
        await api_tokens.list_api_tokens(bob, Page(after=page.cursors[0]))
    last = await api_tokens.list_api_tokens(ada, Page(last=3))
    assert [token.id for token in last.items] == seen[4:]
    assert (last.has_previous, last.has_next) == (True, False)
    rest = await api_tokens.list_api_tokens(ada, Page(last=5, before=last.cursors[0]))
    assert [token.id for token in rest.items] == seen[:4]
    assert (rest.has_previous, rest.has_next) == (False, True)
    async with refused(BadUserInput, ["last"]):
        await api_tokens.list_api_tokens(ada, Page(first=3, last=3))
    async with refused(BadUserInput, ["first"]):
        await api_tokens.list_api_tokens(ada, Page(first=101))
