"""Typed lines: kept, handed to the agent, and answered once."""

import asyncio

import pytest

from agent_bridge.protocol import Input as Line
from hub.events import Input
from models.tables import EndReason, SessionStatus, UtteranceSource
from resolvers.refusals import (
    Conflict,
)
from resolvers.sessions.starting import Previous
from tests.dump import dump
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, taken


async def test_a_typed_line_is_kept_then_handed_to_the_agent(stage: Stage) -> None:
    """It is final at once, its source is TYPED, and the agent gets it as input."""
    session, _ = await stage.talk()
    async with stage.commands(session) as commands:
        line = await stage.type(session, "what is two and two?", key="k1")

        assert taken(commands) == [Input("k1", "what is two and two?")]
    assert line.source is UtteranceSource.TYPED
    assert line.is_final
    assert line.started_at == stage.clock()
    assert await stage.texts(session) == ["what is two and two?"]


async def test_the_same_key_is_the_same_line(stage: Stage) -> None:
    """A repeat stores nothing, even after the end; the agent gets the line until it acks it."""
    session, agent = await stage.talk()
    first = await stage.type(session, "hello", key="k")
    before = await dump()
    async with stage.commands(session) as commands:
        assert (await stage.type(session, "hello", key="k")).id == first.id
        assert taken(commands) == [Input("k", "hello")]
    assert await dump() == before
    await agent.ack_input("k")
    before = await dump()
    async with stage.commands(session) as commands:
        assert (await stage.type(session, "hello", key="k")).id == first.id
        assert taken(commands) == []
    assert await dump() == before
    await stage.start(previous=Previous(session.id, []))
    assert (await stage.type(session, "hello", key="k")).id == first.id


async def test_a_key_holds_one_line(stage: Stage) -> None:
    """Another text, or a key used by the agent, is a CONFLICT that changes nothing."""
    session, agent = await stage.talk()
    await stage.type(session, "hello", key="k")
    await agent.say("spoken", "SG_1")
    await agent.say("only written", "SG_2", role="AGENT", source="TYPED")

    async with refused(Conflict, ["key"]):
        await stage.type(session, "other", key="k")
    async with refused(Conflict, ["key"]):
        await stage.type(session, "spoken", key="SG_1")
    async with refused(Conflict, ["key"]):
        await stage.type(session, "only written", key="SG_2")


async def test_concurrent_duplicates_are_one_line(stage: Stage) -> None:
    """Concurrent resends create one utterance."""
    session, _ = await stage.talk()
    async with stage.commands(session) as commands:
        lines = await asyncio.gather(*(stage.type(session, "hi", key="k") for _ in range(4)))

        assert len({line.id for line in lines}) == 1
        assert set(taken(commands)) == {Input("k", "hi")}
    assert (await stage.read(session)).utterance_count == 1


async def test_typing_needs_an_active_session(stage: Stage) -> None:
    """Before the agent is ready, without it, or after the end, it is a CONFLICT with advice."""
    session = await stage.start()
    async with refused(Conflict, ["sessionId"], "isn't ready yet"):
        await stage.type(session, "a")
    await stage.pass_by(5)
    async with refused(Conflict, ["sessionId"], "retryAgent"):
        await stage.type(session, "a")
    await stage.start(previous=Previous(session.id, []))
    async with refused(Conflict, ["sessionId"], "startNewChat"):
        await stage.type(session, "a")


async def test_a_line_waits_for_an_agent_that_acknowledges_it(stage: Stage) -> None:
    """Every new agent connection gets unacknowledged lines, in order."""
    session, agent = await stage.talk()
    await stage.type(session, "one")
    await stage.type(session, "two")
    await agent.lose()

    back = stage.talker(session, connection="con-2")
    assert (await back.hello()).inputs == (Line("one", "one"), Line("two", "two"))
    await back.ack_input("one")
    await back.lose()

    assert (await stage.talker(session, connection="con-3").hello()).inputs == (Line("two", "two"),)


async def test_a_line_over_which_every_agent_dies_is_let_be_in_the_end(stage: Stage) -> None:
    """Any agent might crash on it, so it is no longer sent; later lines still are."""
    session, agent = await stage.talk()
    await stage.type(session, "deadly")
    met: list[list[str]] = []
    for attempt in range(2, 7):
        await agent.lose()
        await stage.pass_by(6)
        agent = stage.talker(session, attempt, connection=f"con-{attempt}")
        met.append([line.key for line in (await agent.come()).inputs])
        # A reconnect does not count as another agent.
        await agent.lose()
        agent = stage.talker(session, attempt, connection=f"con-{attempt}b")
        assert [line.key for line in (await agent.hello()).inputs] == met[-1]
    await stage.type(session, "harmless")
    await agent.lose()
    again = stage.talker(session, attempt, connection="con-again")

    assert met == [["deadly"], ["deadly"], ["deadly"], [], []]
    assert (await again.hello()).inputs == (Line("harmless", "harmless"),)
    assert await stage.texts(session) == ["deadly", "harmless"]


async def test_typing_keeps_a_conversation_without_media_going(stage: Stage) -> None:
    """Each line restarts the minute after which an absent user ends the conversation."""
    session, _ = await stage.talk(with_person=False)
    await stage.pass_by(59)
    await stage.type(session, "still here")
    await stage.pass_by(59)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    await stage.pass_by(1)

    assert (await stage.read(session)).end_reason is EndReason.ABANDONED


async def test_a_line_is_placed_behind_what_was_being_said(stage: Stage) -> None:
    """Whatever the agent has reported comes first, committed or not."""
    session, agent = await stage.talk()
    heard = agent.report("said before", "SG_1", final=True)
    await stage.type(session, "typed after")
    await heard

    assert await stage.texts(session) == ["said before", "typed after"]


async def test_a_cancelled_caller_leaves_a_whole_line(stage: Stage) -> None:
    """If the browser disconnects, the line is stored completely or not at all."""
    session, _ = await stage.talk()
    typing = asyncio.ensure_future(stage.type(session, "hello"))
    asyncio.get_running_loop().call_soon(typing.cancel)
    with pytest.raises(asyncio.CancelledError):
        await typing
    await stage.type(session, "after")

    row = await stage.read(session)
    assert row.utterance_count == len(await stage.rows(session))
    assert row.last_seq == max(line.seq for line in await stage.rows(session))
