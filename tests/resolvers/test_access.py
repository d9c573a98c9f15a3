"""Looking up sessions and other nodes by id, and who may see them."""

import pytest

from models import ids
from models.database import reader, transact
from models.tables import Session, User, Utterance
from resolvers.access import owned_session, person, require, signed_in
from resolvers.accounts import api_tokens, authentication
from resolvers.backend import Backend
from resolvers.nodes import node, nodes
from resolvers.refusals import BadUserInput, Forbidden, NotFound, Unauthenticated
from resolvers.viewer import TokenScope, Viewer
from tests.queries import read_statements
from tests.resolvers.people import viewer_for
from tests.resolvers.refused import refused
from tests.rows import START, add_session, add_user

READ = TokenScope.SESSIONS_READ
MALFORMED = ["", "x", "ses_x", "\0", "\ud800", "ses_" + "0" * 25, "ses_" + "8" * 26, "ses_é" * 6]


@pytest.fixture
async def ada(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("ada@example.com"))


@pytest.fixture
async def bob(backend: Backend) -> Viewer:
    return await viewer_for(backend, await add_user("bob@example.com"))


async def _session(viewer: Viewer) -> Session:
    user = await User.filter(id=viewer.user_id).using_db(reader()).get()
    return await add_session(user, "hello")


async def _bury(session: Session) -> None:
    await transact(
        lambda conn: Session.filter(id=session.id).using_db(conn).update(deleted_at=START)
    )


def _token(viewer: Viewer, *scopes: TokenScope) -> Viewer:
    return Viewer(viewer.user_id, False, None, ids.new_api_token(), frozenset(scopes), None)


async def test_ones_own_session_is_found(backend: Backend, ada: Viewer) -> None:
    """Through the reader, and locked inside a transaction."""
    session = await _session(ada)
    assert (await owned_session(ada, session.id, scope=READ)).id == session.id
    locked = await transact(lambda conn: owned_session(ada, session.id, conn, scope=READ))
    assert locked.id == session.id


async def test_every_other_session_is_refused(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """Each refusal has the code for its reason."""
    session, deleted = await _session(bob), await _session(bob)
    await _bury(deleted)
    async with refused(Forbidden, ["sessionId"]):
        await owned_session(ada, session.id, scope=READ)
    async with refused(Forbidden, ["id"]):
        await owned_session(ada, session.id, scope=READ, field=("id",))
    for missing in (deleted.id, ids.new_session()):
        async with refused(NotFound, ["sessionId"]):
            await owned_session(bob, missing, scope=READ)
    for malformed in [*MALFORMED, session.id.upper(), session.id + " ", ids.new_user()]:
        async with refused(BadUserInput, ["sessionId"]):
            await owned_session(ada, malformed, scope=READ)
    async with refused(Unauthenticated):
        await owned_session(None, session.id, scope=READ)


async def test_a_token_reaches_as_far_as_its_scopes(backend: Backend, ada: Viewer) -> None:
    """The refusal names the missing scope."""
    session = await _session(ada)
    token = _token(ada, TokenScope.SESSIONS_READ)
    assert (await owned_session(token, session.id, scope=READ)).id == session.id
    async with refused(Forbidden, says="SESSIONS_WRITE"):
        await owned_session(token, session.id, scope=TokenScope.SESSIONS_WRITE)
    assert require(token, TokenScope.SESSIONS_READ) is token
    assert signed_in(token) is token
    assert token.access_id == token.token_id
    with pytest.raises(Forbidden):
        person(token)
    assert person(ada) is ada
    with pytest.raises(Unauthenticated):
        person(None)


@pytest.mark.sqlite
async def test_everything_of_ones_own_is_a_node(backend: Backend, ada: Viewer) -> None:
    """User, session, utterance and token come in the requested order, with one query per kind."""
    session = await _session(ada)
    utterance = await Utterance.filter(session_id=session.id).using_db(reader()).get()
    token = (
        await api_tokens.create_api_token(
            backend.clock, ada, name="x", scopes=[TokenScope.SESSIONS_READ]
        )
    ).api_token
    wanted = [token.id, session.id, utterance.id, ada.user_id]
    for one in wanted:
        found = await node(ada, one)
        assert found is not None
        assert found.id == one
    async with read_statements() as statements:
        many = await nodes(ada, [*wanted, ids.new_session(), *wanted])
    assert [None if one is None else one.id for one in many] == [*wanted, None, *wanted]
    assert len(statements) == 4
    assert await nodes(ada, []) == []


async def test_what_is_not_ones_own_is_no_node(backend: Backend, ada: Viewer, bob: Viewer) -> None:
    """The result is null whether the node exists or not, so its existence is not revealed."""
    session, deleted = await _session(bob), await _session(ada)
    utterance = await Utterance.filter(session_id=session.id).using_db(reader()).get()
    buried = await Utterance.filter(session_id=deleted.id).using_db(reader()).get()
    await _bury(deleted)
    token = (
        await api_tokens.create_api_token(
            backend.clock, bob, name="x", scopes=[TokenScope.SESSIONS_READ]
        )
    ).api_token
    others = [session.id, utterance.id, token.id, bob.user_id, deleted.id, buried.id]
    new = [ids.new_session(), ids.new_utterance(), ids.new_api_token(), ids.new_user()]
    assert await nodes(ada, [*others, *new]) == [None] * 10
    for one in [*others, *new]:
        assert await node(ada, one) is None


async def test_a_token_sees_nodes_as_far_as_its_scopes(backend: Backend, ada: Viewer) -> None:
    """Without SESSIONS_READ a token sees no conversations, and it never sees tokens."""
    session = await _session(ada)
    created = await api_tokens.create_api_token(
        backend.clock, ada, name="x", scopes=[TokenScope.SESSIONS_READ]
    )
    reading = await authentication.viewer_of_token(backend.clock, created.secret)
    writing = _token(ada, TokenScope.SESSIONS_WRITE)
    wanted = [session.id, created.api_token.id, ada.user_id]
    seen = [[bool(one) for one in await nodes(who, wanted)] for who in (reading, writing)]
    assert seen == [[True, False, True], [False, False, True]]


async def test_what_nodes_refuse(backend: Backend, ada: Viewer) -> None:
    """Signed-out viewers, malformed ids and too many ids are refused."""
    good = ids.new_session()
    async with refused(Unauthenticated):
        await node(None, good)
    async with refused(Unauthenticated):
        await nodes(None, [good])
    for malformed in [*MALFORMED, ids.new_login()]:
        async with refused(BadUserInput, ["id"]):
            await node(ada, malformed)
        async with refused(BadUserInput, ["ids", 1]):
            await nodes(ada, [good, malformed])
    async with refused(BadUserInput, ["ids"], "At most 100"):
        await nodes(ada, [good] * 101)
