"""Joining a conversation, and asking for its agent again."""

import asyncio
from datetime import timedelta

import pytest

from agent_bridge.server.workers import NoFreePlace, NoWorker
from hub.events import Fence
from models.tables import SessionStatus
from resolvers.refusals import (
    AgentUnavailable,
    Conflict,
)
from resolvers.sessions import joining, starting
from resolvers.sessions.starting import Previous
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, taken


async def test_joining_gives_a_fresh_token(stage: Stage) -> None:
    """Joining works before and after the agent is ready."""
    session = await stage.start()
    first = await joining.join_session(stage.backend.media, stage.viewer, session.id)
    await stage.talker(session).come()

    second = await joining.join_session(stage.backend.media, stage.viewer, session.id)

    assert first.connection.token != second.connection.token
    assert second.session.status is SessionStatus.ACTIVE


async def test_what_does_not_run_is_not_joined(stage: Stage) -> None:
    """A failed or ended session is refused with advice on what to do instead."""
    stage.agents.refusal = NoWorker("none")
    failed = await stage.start()
    stage.agents.refusal = None
    ended = await stage.start()
    await stage.backend.chats.start_new_chat(stage.viewer, previous=Previous(ended.id, []))

    async with refused(AgentUnavailable, ["sessionId"], "retryAgent"):
        await joining.join_session(stage.backend.media, stage.viewer, failed.id)
    async with refused(Conflict, ["sessionId"], "startNewChat"):
        await joining.join_session(stage.backend.media, stage.viewer, ended.id)


async def test_a_failed_session_gets_another_attempt(stage: Stage) -> None:
    """It is STARTING again, attempt 2 is asked for, and attempt 1 is fenced."""
    stage.agents.refusal = NoWorker("none")
    session = await stage.start()
    stage.agents.refusal = None

    async with stage.commands(session) as commands:
        retried = await stage.backend.chats.retry_agent(stage.viewer, session.id)

        assert taken(commands) == [Fence(2)]
    assert retried.session.status is SessionStatus.STARTING
    assert retried.session.failure_code is None
    assert retried.connection is not None
    assert stage.agents.asked[-1].attempt == 2


async def test_a_retry_that_finds_nobody_fails_again(stage: Stage) -> None:
    """It is FAILED with AGENT_UNAVAILABLE and no connection; it may be retried."""
    stage.agents.refusal = NoFreePlace("all are busy")
    session = await stage.start()

    retried = await stage.backend.chats.retry_agent(stage.viewer, session.id)

    assert retried.session.status is SessionStatus.FAILED
    assert retried.session.failure_message == "all are busy"
    assert retried.connection is None
    assert retried.session.attempt == 2


async def test_an_active_session_is_retried_only_without_its_agent(stage: Stage) -> None:
    """With its agent it is a CONFLICT; after losing it there is another attempt."""
    session, agent = await stage.talk()
    async with refused(Conflict, ["sessionId"], "already here"):
        await stage.backend.chats.retry_agent(stage.viewer, session.id)

    await agent.lose()
    retried = await stage.backend.chats.retry_agent(stage.viewer, session.id)

    assert retried.session.status is SessionStatus.STARTING
    assert retried.session.attempt == 2


@pytest.mark.parametrize("is_starting", [True, False])
async def test_what_starts_or_has_ended_is_not_retried(stage: Stage, is_starting: bool) -> None:
    """It is a CONFLICT, and no agent is asked for."""
    session = await stage.start()
    if not is_starting:
        await stage.start(previous=Previous(session.id, []))
    asked = len(stage.agents.asked)

    async with refused(Conflict, ["sessionId"], "" if is_starting else "has ended"):
        await stage.backend.chats.retry_agent(stage.viewer, session.id)

    assert len(stage.agents.asked) == asked


async def test_two_retries_at_once_are_one(stage: Stage) -> None:
    """The second is a CONFLICT, because an agent is already on its way."""
    stage.agents.refusal = NoWorker("none")
    session = await stage.start()
    stage.agents.refusal = None

    answers = await asyncio.gather(
        *(stage.backend.chats.retry_agent(stage.viewer, session.id) for _ in range(2)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [starting.Retried, Conflict]
    assert len(stage.agents.asked) == 1


async def test_a_connection_is_good_for_a_quarter_of_an_hour(stage: Stage) -> None:
    """This is long enough to connect and too short to be worth stealing."""
    session = await stage.start()
    joined = await joining.join_session(stage.backend.media, stage.viewer, session.id)
    again = await joining.join_session(stage.backend.media, stage.viewer, session.id)

    assert again.connection.expires_at - joined.connection.expires_at < timedelta(seconds=60)
    assert stage.backend.tokens.read_media(joined.connection.token).expires_at == (
        joined.connection.expires_at
    )
