"""Callers that disconnect: what was committed for them still takes effect everywhere."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from agent_bridge.server.workers import NoWorker, StartRequest
from hub.events import Fence, Gone, Input, SessionOver, Stop
from models import database
from models.database import Connection
from models.tables import SessionStatus
from resolvers.sessions import manage
from resolvers.sessions.starting import Previous
from resolvers.transcripts import transactions
from tests.resolvers.stage import Stage, message, taken

CutOff = Callable[[Coroutine[Any, Any, object]], Awaitable[None]]


@pytest.fixture
def cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> CutOff:
    """Cancel a use case in the middle of its transaction, which then runs to its end."""

    async def run(use_case: Coroutine[Any, Any, object]) -> None:
        begun = asyncio.Event()

        async def watched(work: Callable[[Connection], Awaitable[Any]], **options: Any) -> Any:
            async def body(conn: Connection) -> Any:
                begun.set()
                return await work(conn)

            return await database.transact(body, **options)

        with monkeypatch.context() as patch:
            patch.setattr(transactions, "transact", watched)
            calling = asyncio.create_task(use_case)
            await begun.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            await stage.backend.writer.drain()
            await stage.reaper.asked()

    return run


async def test_what_is_deleted_is_gone_for_everybody(stage: Stage, cut_off: CutOff) -> None:
    """The agent and streams are told, the room is closed, and memory drops the interim."""
    session, agent = await stage.talk()
    await agent.say("a private word", final=False)
    transcript, updates = await stage.watch(session), await stage.watch_sessions(session)
    await transcript.caught_up()
    await updates.next()
    rooms: list[str] = []
    stage.backend.hub.on(SessionOver, lambda event: rooms.append(event.room_name))

    async with stage.commands(session) as commands:
        await cut_off(manage.delete_session(stage.backend.transactions, stage.viewer, session.id))

        assert taken(commands) == [Gone()]
    [last] = await transcript.rest()
    assert last.end is not None
    assert last.end.reason == "SESSION_DELETED"
    assert (await updates.next()).deleted_session_id == session.id
    assert (await updates.rest())[-1].end.reason == "SESSION_DELETED"
    assert rooms == [session.room_name]
    assert not stage.backend.live.remembers(session.id)


async def test_what_is_typed_reaches_the_agent(stage: Stage, cut_off: CutOff) -> None:
    """The user need not resend it."""
    session, _ = await stage.talk()

    async with stage.commands(session) as commands:
        await cut_off(stage.type(session, "hello", key="k"))

        assert taken(commands) == [Input("k", "hello")]


async def test_what_is_saved_stops_its_agent(stage: Stage, cut_off: CutOff) -> None:
    """The agent need not wait for the grace period to end."""
    session, _ = await stage.talk()

    async with stage.commands(session) as commands:
        saving = stage.backend.saving.save_session(stage.viewer, session.id, [message("a")])
        await cut_off(saving)

        assert taken(commands) == [Stop("SAVED")]


async def test_a_chat_that_was_made_gets_its_agent(stage: Stage, cut_off: CutOff) -> None:
    """The previous agent is stopped; repeating the request with its key asks for no other."""
    previous, _ = await stage.talk()
    wish: Any = {"previous": Previous(previous.id, []), "idempotency_key": "k"}

    async with stage.commands(previous) as commands:
        await cut_off(stage.backend.chats.start_new_chat(stage.viewer, **wish))

        assert taken(commands) == [Stop("SAVED")]
    again = await stage.backend.chats.start_new_chat(stage.viewer, **wish)
    assert [request.session for request in stage.agents.asked] == [previous.id, again.session.id]
    await stage.talker(again.session).come()
    assert (await stage.read(again.session)).status is SessionStatus.ACTIVE


async def test_another_attempt_is_asked_for(stage: Stage, cut_off: CutOff) -> None:
    """The older attempt is fenced."""
    session = await stage.start()
    await stage.pass_by(5)

    async with stage.commands(session) as commands:
        await cut_off(stage.backend.chats.retry_agent(stage.viewer, session.id))

        assert taken(commands) == [Fence(2)]
    assert [request.attempt for request in stage.agents.asked] == [1, 2]


@pytest.mark.parametrize("is_new", [True, False])
async def test_nobody_need_wait_while_an_agent_is_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    """Finding an agent may take seconds; its outcome is stored even after a disconnect."""
    session = await stage.start()
    await stage.pass_by(5)
    dispatching, answer = asyncio.Event(), asyncio.Event()
    requests: list[StartRequest] = []

    async def slow(request: StartRequest) -> None:
        requests.append(request)
        dispatching.set()
        await answer.wait()
        raise NoWorker("It has gone meanwhile.")

    monkeypatch.setattr(stage.agents, "start", slow)
    use_case: Coroutine[Any, Any, object] = (
        stage.start() if is_new else stage.backend.chats.retry_agent(stage.viewer, session.id)
    )
    calling = asyncio.create_task(use_case)
    async with asyncio.timeout(30):
        await dispatching.wait()

    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    answer.set()
    await stage.reaper.asked()

    [request] = requests
    row = await manage.get_session(stage.viewer, request.session)
    assert (row.status, row.failure_code) == (SessionStatus.FAILED, "AGENT_UNAVAILABLE")
    assert row.failure_message == "It has gone meanwhile."
