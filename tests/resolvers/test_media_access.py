"""A user's media ends with its login or API token, and with ownership of the session."""

import asyncio
from datetime import datetime, timedelta

import pytest

from agent_bridge.media.backend import AccessEnded
from models.tables import ApiToken, Session
from resolvers.accounts import api_tokens, authentication
from resolvers.sessions import joining
from resolvers.viewer import TokenScope
from tests.resolvers.stage import WITHIN_S, Stage
from tests.rows import add_user


async def test_a_connection_names_the_access_that_it_was_made_from(stage: Stage) -> None:
    """This holds for startNewChat and joinSession alike."""
    started = await stage.backend.chats.start_new_chat(stage.viewer)
    await stage.talker(started.session).come()
    joined = await joining.join_session(stage.backend.media, stage.viewer, started.session.id)

    for connection in (started.connection, joined.connection):
        assert connection is not None
        grant = stage.backend.tokens.read_media(connection.token)
        assert grant.access == stage.viewer.access_id


async def test_signing_out_ends_it(stage: Stage) -> None:
    """Media ends at once, and the same access is not admitted again."""
    session, _ = await stage.talk()
    ended = asyncio.Event()

    async with stage.media.admitted(session.id, stage.viewer.access_id, ended.set):
        assert not ended.is_set()
        await authentication.sign_out(stage.backend.transactions, stage.viewer)
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()

    await is_not_admitted(stage, session, stage.viewer.access_id)


async def test_an_api_token_that_expires_ends_it(stage: Stage) -> None:
    """The reaper notices; it runs four times a second."""
    session, _ = await stage.talk()
    token = await made_token(stage, stage.clock() + timedelta(minutes=1))
    ended = asyncio.Event()

    async with stage.media.admitted(session.id, token, ended.set):
        await stage.pass_by(59)
        await asyncio.sleep(0)
        assert not ended.is_set()
        await stage.pass_by(1)
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()

    await is_not_admitted(stage, session, token)


async def test_an_access_that_another_process_revoked_ends_it(stage: Stage) -> None:
    """`voxql user reset-password` reaches no hub of this process."""
    session, _ = await stage.talk()
    token = await made_token(stage)
    ended = asyncio.Event()

    async with stage.media.admitted(session.id, token, ended.set):
        await ApiToken.filter(id=token).delete()
        await stage.reaper.look()
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()


async def test_somebody_elses_access_is_none(stage: Stage) -> None:
    """Another user's access or an unknown one is not admitted."""
    session, _ = await stage.talk()
    stranger = await stage.somebody_else()

    for access in (stranger.access_id, "log_nothing", ""):
        await is_not_admitted(stage, session, access)


async def test_a_session_that_becomes_anothers_ends_it(stage: Stage) -> None:
    """This holds even if another process changed the owner."""
    session, _ = await stage.talk()
    other = await add_user()
    ended = asyncio.Event()

    async with stage.media.admitted(session.id, stage.viewer.access_id, ended.set):
        await Session.filter(id=session.id).update(user_id=other.id)
        await stage.reaper.look()
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()


async def made_token(stage: Stage, expires_at: datetime | None = None) -> str:
    made = await api_tokens.create_api_token(
        stage.backend.clock,
        stage.viewer,
        name="program",
        scopes=[TokenScope.SESSIONS_WRITE],
        expires_at=expires_at,
    )
    return made.api_token.id


async def is_not_admitted(stage: Stage, session: Session, access: str) -> None:
    with pytest.raises(AccessEnded):
        async with stage.media.admitted(session.id, access, lambda: None):
            pass
