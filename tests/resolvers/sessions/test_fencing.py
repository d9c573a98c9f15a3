"""The session's current agent is the newest connection of the newest attempt."""

import asyncio

import pytest

from agent_bridge.protocol import Ack, Nack
from agent_bridge.server.handler import NotNow
from hub.events import Fence
from models.tables import SessionStatus
from resolvers.transcripts import transactions
from tests.resolvers.stage import Stage, not_stored, taken


async def test_a_fenced_attempt_drains_its_finals_only(stage: Stage) -> None:
    """Interims get a terminal nack and states are ignored; finals are kept."""
    session = await stage.start()
    old = stage.talker(session)
    await old.hello()
    await old.say("so fa", "SG_1", final=False)
    old.state("THINKING")
    await stage.pass_by(5)
    async with stage.commands(session) as commands:
        await stage.backend.chats.retry_agent(stage.viewer, session.id)
        assert taken(commands) == [Fence(2)]

    interim = await old.say("so far", "SG_1", final=False)
    old.state("SPEAKING")
    final = await old.say("so far so good", "SG_1")

    assert isinstance(interim, Nack)
    assert (interim.code, interim.terminal) == ("FENCED", True)
    assert isinstance(final, Ack)
    assert await stage.texts(session) == ["so far so good"]
    assert stage.backend.connections.agent_state(session.id) is None


async def test_an_older_attempt_is_fenced_off_by_another_process_too(stage: Stage) -> None:
    """After a restart the database says which attempt is current."""
    session = await stage.start()
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)
    stage.backend.connections._sessions.clear()
    old = stage.talker(session)
    assert not (await old.hello()).is_current

    assert isinstance(await old.say("late", final=False), Nack)
    assert isinstance(await old.say("late", "SG_2"), Ack)


async def test_the_end_of_a_fenced_connection_ends_nothing(stage: Stage) -> None:
    """Its bye and its disconnect are ignored."""
    session = await stage.start()
    old = stage.talker(session)
    await old.hello()
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)
    new = stage.talker(session, 2, "con-2")
    await new.come()

    await old.bye()
    await old.lose()

    row = await stage.read(session)
    assert (row.status, row.agent_back_by) == (SessionStatus.ACTIVE, None)
    new.state("LISTENING")
    assert stage.backend.connections.agent_state(session.id) == "LISTENING"


async def test_a_connection_that_was_replaced_ends_nothing(stage: Stage) -> None:
    """The same attempt goes on with its newer connection."""
    session, agent = await stage.talk()
    newer = stage.talker(session, connection="con-2")
    await newer.come()

    await agent.lose()

    assert (await stage.read(session)).agent_back_by is None
    await newer.lose()
    assert (await stage.read(session)).agent_back_by is not None


@pytest.mark.parametrize("comes_first", [True, False])
async def test_a_connection_is_replaced_while_it_ends(stage: Stage, comes_first: bool) -> None:
    """In either order of events and at any step, the newer connection goes on."""
    running = []
    for steps in range(31):
        session, agent = await stage.talk()
        newer = stage.talker(session, connection="con-2")
        arriving, ending = newer.hello(), agent.lose()
        first, second = (arriving, ending) if comes_first else (ending, arriving)

        earlier: asyncio.Task[object] = asyncio.create_task(first)
        for _ in range(steps):
            await asyncio.sleep(0)
        await second
        await earlier

        row = await stage.read(session)
        assert (row.agent_retry_by, row.agent_back_by) == (None, None), f"after {steps} steps"
        await newer.ready()
        running.append(session)
    await stage.pass_by(600)
    assert {(await stage.read(session)).status for session in running} == {SessionStatus.ACTIVE}
    assert len(stage.agents.asked) == len(running)


async def test_a_connection_that_can_not_be_taken_in_is_not_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replaced connection is gone all the same; its deadlines start once they can be stored."""
    session, agent = await stage.talk()
    newer = stage.talker(session, connection="con-2")
    with monkeypatch.context() as patch:
        patch.setattr(transactions, "transact", not_stored)
        with pytest.raises(NotNow):
            await newer.hello()
        await agent.lose()
    assert stage.backend.connections.agent_state(session.id) is None

    await stage.reaper.look()
    row = await stage.read(session)
    assert row.agent_back_by is not None
    stage.clock.pass_by(seconds=1)
    with monkeypatch.context() as patch:
        patch.setattr(transactions, "transact", not_stored)
        with pytest.raises(NotNow):
            await newer.hello()

    await stage.reaper.look()
    assert (await stage.read(session)).agent_back_by == row.agent_back_by


async def test_an_older_attempt_that_comes_back_takes_nobodys_place(stage: Stage) -> None:
    """Not even while the database is being asked about it, nor after a restart."""
    session = await stage.start()
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)
    new = stage.talker(session, 2, "con-2")
    await new.come()
    new.state("LISTENING")
    old = asyncio.create_task(stage.talker(session, 1, "con-3").hello())
    while not old.done():
        assert stage.backend.connections.agent_state(session.id) == "LISTENING"
        await asyncio.sleep(0)
    stage.backend.connections._sessions.clear()

    assert not (await stage.talker(session, 1, "con-4").hello()).is_current

    assert stage.backend.connections.agent_state(session.id) is None


async def test_an_agent_that_is_there_is_not_taken_for_gone(stage: Stage) -> None:
    """Deadlines that run although the agent is connected are cleared."""
    session, _ = await stage.talk()
    row = await stage.read(session)
    row.agent_retry_by = row.agent_back_by = stage.clock()
    await row.save()

    await stage.pass_by(60)

    row = await stage.read(session)
    assert (row.status, row.attempt) == (SessionStatus.ACTIVE, 1)
    assert (row.agent_retry_by, row.agent_back_by) == (None, None)
