"""An unanswered start is repeated as a new attempt by the same deadline; older ones are fenced."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent_bridge.media.backend import Awaited, NotNow
from agent_bridge.server.workers import NoAgent, StartRequest
from hub.events import Fence
from models.tables import SessionStatus
from resolvers.backend import Backend
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.stage import Stage, not_stored, staged, taken


@pytest.fixture
async def stage(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    async with staged(backend, clock, is_running=False) as stage:
        yield stage


async def test_a_new_attempt_has_the_time_of_the_one_before(stage: Stage) -> None:
    """The session stays STARTING, and FAILED comes no later than without the new attempt."""
    session = await stage.start()
    await stage.pass_by(4)

    assert await stage.media.ask_anew(session.id, 1) == 2

    assert [request.key for request in stage.agents.asked] == [(session.id, 1), (session.id, 2)]
    assert (await stage.read(session)).status is SessionStatus.STARTING
    await stage.pass_by(1)
    assert (await stage.read(session)).failure_code == "AGENT_TIMEOUT"


async def test_who_comes_by_the_older_attempt_after_all_is_fenced_off(stage: Stage) -> None:
    """Connected or not, the older attempt is fenced; the new one gets the conversation."""
    session = await stage.start()
    async with stage.commands(session) as commands:
        await stage.media.ask_anew(session.id, 1)
        assert taken(commands) == [Fence(2)]

    assert not (await stage.talker(session, 1, "old").hello()).is_current
    assert (await stage.talker(session, 2, "new").come()).is_current
    assert (await stage.read(session)).status is SessionStatus.ACTIVE


async def test_whose_agent_has_come_is_not_asked_for_anew(stage: Stage) -> None:
    """An agent that is connected but not ready yet is kept."""
    session = await stage.start()
    await stage.talker(session).hello()
    before = await dump()

    assert await stage.media.awaited() == []
    assert await stage.media.ask_anew(session.id, 1) is None

    assert await dump() == before
    assert len(stage.agents.asked) == 1


async def test_only_what_is_still_wanted_is_asked_for_anew(stage: Stage) -> None:
    """A retried, ended, unknown or active session is not asked for again."""
    retried, over, active = await stage.start(), await stage.start(), (await stage.talk())[0]
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, retried.id)
    await stage.backend.saving.save_session(stage.viewer, over.id, [])
    asked = len(stage.agents.asked)

    for session in (retried, over, active):
        assert await stage.media.ask_anew(session.id, 1) is None
    assert await stage.media.ask_anew("ses_of_nobody", 1) is None

    assert len(stage.agents.asked) == asked


async def test_who_was_too_late_may_still_be_replaced(stage: Stage) -> None:
    """A timed-out session stays FAILED until the agent is ready; a refused one is not retried."""
    late = await stage.start()
    stage.agents.refusal = NoAgent("away")
    refused = await stage.start()
    stage.agents.refusal = None
    await stage.pass_by(5)
    assert [one.session for one in await stage.media.awaited()] == [late.id]

    assert await stage.media.ask_anew(late.id, 1) == 2
    assert await stage.media.ask_anew(refused.id, 1) is None

    assert (await stage.read(late)).status is SessionStatus.FAILED
    await stage.talker(late, 2).come()
    assert (await stage.read(late)).status is SessionStatus.ACTIVE


async def test_nobody_to_ask_just_now_is_no_failure(stage: Stage) -> None:
    """There is time left, and the next try may find an agent."""
    session = await stage.start()
    stage.agents.refusal = NoAgent("away")

    assert await stage.media.ask_anew(session.id, 1) == 2

    assert (await stage.read(session)).status is SessionStatus.STARTING
    assert [one.attempt for one in await stage.media.awaited()] == [2]


async def test_what_is_being_asked_for_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its room may not exist yet."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(request: StartRequest) -> None:
        asked.set()
        await answer.wait()

    monkeypatch.setattr(stage.agents, "start", slow)
    starting = asyncio.create_task(stage.start())
    async with asyncio.timeout(30):
        await asked.wait()
    [awaited] = await stage.media.awaited()
    assert awaited.is_being_asked

    answer.set()
    session = await starting

    assert await stage.media.awaited() == [
        Awaited(session.id, 1, session.agent_name, session.room_name)
    ]


async def test_on_a_full_disk_nobody_is_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that is not stored fences nobody."""
    session = await stage.start()
    monkeypatch.setattr(stage.backend.transactions, "run", not_stored)

    with pytest.raises(NotNow):
        await stage.media.ask_anew(session.id, 1)

    assert len(stage.agents.asked) == 1
