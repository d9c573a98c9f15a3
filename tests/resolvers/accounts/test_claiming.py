"""A conversation that changes owner: its former owner's streams show nothing more of it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from models.database import transact
from models.tables import Session, SessionStatus
from resolvers.accounts import api_tokens, authentication
from resolvers.backend import Backend
from resolvers.refusals import Forbidden
from resolvers.transcripts.watching import StreamEnd
from resolvers.viewer import ALL_SCOPES, TokenScope, Viewer
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, Watcher, staged
from tests.rows import add_user

pytestmark = pytest.mark.usefixtures("quick_passwords")

EMAIL = "ada@example.com"
PASSWORD = "correct horse"
REVOKED = StreamEnd("ACCESS_REVOKED", False)


@pytest.fixture
async def stage(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    """Run a stage for a guest, with an account to sign in to."""
    async with staged(backend, clock) as stage:
        await authentication.create_user(backend.clock, EMAIL, PASSWORD)
        yield stage


async def use_a_token(stage: Stage) -> Viewer:
    """Watch with a token of the guest from now on; return the browser's viewer."""
    browser = stage.viewer
    made = await api_tokens.create_api_token(
        stage.backend.clock, browser, name="robot", scopes=[TokenScope.SESSIONS_READ]
    )
    stage.viewer = await authentication.viewer_of_token(stage.backend.clock, made.secret)
    return browser


async def claim(stage: Stage, guest: Viewer) -> Viewer:
    new_login = await stage.backend.authentication.sign_in(
        guest, email=EMAIL, password=PASSWORD, claim_guest_sessions=True
    )
    ada = await authentication.viewer_of_login(stage.backend.clock, new_login.secret)
    assert ada is not None
    return ada


@pytest.mark.parametrize("before_the_first_event", [True, False])
async def test_streams_of_the_former_owner_end(stage: Stage, before_the_first_event: bool) -> None:
    """Streams opened with a still valid token end too, and show nothing said after the claim."""
    session, agent = await stage.talk()
    guest = await use_a_token(stage)
    words, updates = await stage.watch(session), await stage.watch_sessions(session)
    if not before_the_first_event:
        await words.caught_up()
        await updates.next()

    ada = await claim(stage, guest)
    await agent.say("a secret of Ada's")

    assert [(event.utterances, event.end) for event in await words.rest()] == [((), REVOKED)]
    assert [(each.session, each.end) for each in await updates.rest()] == [(None, REVOKED)]
    for opened in (stage.watch, stage.watch_sessions):
        async with refused(Forbidden, ["sessionId"]):
            await opened(session)
    stage.viewer = ada
    theirs = await stage.watch(session)
    await theirs.caught_up()
    assert theirs.texts == ["a secret of Ada's"]


async def test_what_waits_for_the_former_owner_is_not_delivered(stage: Stage) -> None:
    """A slow reader gets nothing after the claim either."""
    session, agent = await stage.talk()
    guest = await use_a_token(stage)
    words = await stage.watch(session)
    await words.caught_up()
    await agent.say("before")

    await claim(stage, guest)

    [last] = await words.rest()
    assert (last.utterances, last.end) == ((), REVOKED)


async def test_lists_of_both_owners_hear_of_it(stage: Stage) -> None:
    """It leaves one list and joins the other; neither stream ends."""
    running, agent = await stage.talk()
    over = await stage.start()
    guest = await use_a_token(stage)
    before = await stage.watch_sessions()
    await before.next()
    new_login = await stage.backend.authentication.sign_in(None, email=EMAIL, password=PASSWORD)
    ada = await authentication.viewer_of_login(stage.backend.clock, new_login.secret)
    assert ada is not None
    token, stage.viewer = stage.viewer, ada
    after: Watcher[object] = await stage.watch_sessions()
    await after.next()
    stage.viewer = token

    await claim(stage, guest)
    agent.state("SPEAKING")
    await agent.say("a secret of Ada's")

    gone = [(await before.next()).deleted_session_id for _ in range(2)]
    assert gone == [running.id, over.id]
    come = [await after.next() for _ in range(2)]
    assert [each.session.id for each in come] == [running.id, over.id]  # type: ignore[attr-defined]
    # The former owner's next update is about a session of their own again.
    stage.viewer = replace(token, scopes=ALL_SCOPES)
    mine = await stage.start()
    assert (await before.next()).session.id == mine.id


async def test_a_state_that_waited_tells_the_former_owner_nothing(stage: Stage) -> None:
    """A state change queued before the claim is read after it, so the session is not shown."""
    running, agent = await stage.talk()
    guest = await use_a_token(stage)
    watcher = await stage.watch_sessions()
    await watcher.next()
    agent.state("SPEAKING")

    await claim(stage, guest)

    update = await watcher.next()
    assert (update.session, update.deleted_session_id) == (None, running.id)


async def test_a_session_that_another_process_moved_ends_its_streams(stage: Stage) -> None:
    """The reaper checks for this, as for logins: another process's commit reaches no local hub."""
    session, _ = await stage.talk()
    kept, agent = await stage.talk()
    await use_a_token(stage)
    words, updates = await stage.watch(session), await stage.watch_sessions(session)
    mine = await stage.watch(kept)
    await words.caught_up()
    await updates.next()
    await mine.caught_up()
    other = await add_user()
    await transact(
        lambda conn: Session.filter(id=session.id).using_db(conn).update(user_id=other.id)
    )

    await stage.reaper.look()

    assert [event.end for event in await words.rest()] == [REVOKED]
    assert [update.end for update in await updates.rest()] == [REVOKED]
    await agent.say("hello")
    assert [each.text for each in (await mine.next()).utterances] == ["hello"]
    assert (await stage.read(kept)).status is SessionStatus.ACTIVE
