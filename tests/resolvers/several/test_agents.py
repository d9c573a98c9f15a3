"""An agent may be connected to another process than the one that needs it."""

from datetime import timedelta

import pytest

from agent_bridge.server.workers import NoAgent
from hub.events import (
    AgentCommanded,
    Fence,
    Input,
    SessionChanged,
    Stop,
    agent_topic,
    user_topic,
)
from models.tables import EndReason, SessionStatus
from resolvers.backend import Backend
from resolvers.refusals import Conflict
from resolvers.sessions import reaper
from tests.resolvers.people import Clock, give_config
from tests.resolvers.several.processes import Processes, processes
from tests.resolvers.stage import Stage, message, taken


async def test_an_agent_that_is_connected_elsewhere_is_not_requested_again(
    here: Stage, there: Stage
) -> None:
    """`retryAgent` is refused, and no reaper makes a new attempt."""
    session, _ = await here.talk()
    with pytest.raises(Conflict, match="already here"):
        await there.backend.chats.retry_agent(there.viewer, session.id)
    assert await there.backend.dispatcher.ask_anew(session.id, 1) is None
    await there.pass_by(30)
    assert (await there.read(session)).attempt == 1


async def test_a_newer_attempt_elsewhere_fences_the_agent_off(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Its connection hears of it from the other process, at the latest by comparing."""
    session, agent = await here.talk()
    await agent.lose()
    async with here.commands(session) as commands:
        two.bus.is_quick = False
        await there.backend.chats.retry_agent(there.viewer, session.id)
        two.bus.lose()
        assert taken(commands) == []

        await two.compare()

        assert taken(commands) == [Fence(2)]


async def test_typed_lines_and_stops_reach_an_agent_elsewhere(
    two: Processes, here: Stage, there: Stage
) -> None:
    """At once, or by comparing; a line that is answered is not repeated."""
    session, agent = await here.talk()
    async with here.commands(session) as commands:
        await there.type(session, "quick")
        assert taken(commands) == [Input("quick", "quick")]
        await agent.ack_input("quick")
        two.bus.is_quick = False
        await there.type(session, "lost")
        await there.backend.saving.save_session(there.viewer, session.id, [])
        two.bus.lose()
        two.clock.pass_by(seconds=6)

        await two.compare()

        assert taken(commands) == [Fence(1), Stop("SAVED"), Input("lost", "lost")]


async def test_a_conversation_saved_elsewhere_waits_for_the_agents_last_words(
    here: Stage, there: Stage
) -> None:
    """It is ENDING until the agent has said goodbye to the process it is connected to."""
    session, agent = await here.talk()
    await agent.say("an interim", final=False)

    saved = await there.backend.saving.save_session(
        there.viewer, session.id, [message("SG_1", "as the page showed it", is_final=False)]
    )
    assert saved.session.status is SessionStatus.ENDING
    await agent.say("the final")
    await agent.bye()

    assert (await here.read(session)).status is SessionStatus.ENDED
    assert (await here.read(session)).end_reason is EndReason.SAVED
    assert await here.texts(session) == ["the final"]


async def test_an_agent_that_comes_back_elsewhere_and_back_again_is_heard_at_once(
    backend: Backend, clock: Clock
) -> None:
    """Each process publishes above every revision that the other may have published.

    Nothing is written before its reader has it.
    """
    async with processes(backend, clock, is_running=False) as two:
        here, there = two.stages
        session, agent = await here.talk()
        reading = await there.watch(session)
        await reading.caught_up()
        agent.report("one")
        await here.backend.writer.commit_waiting()
        await agent.say("one two", final=False)
        await here.backend.writer.drain()
        for number, stage in enumerate((there, here, there), 2):
            elsewhere = stage.talker(session, connection=f"con-{number}")
            elsewhere._revisions = agent._revisions
            await elsewhere.come()
            for count in (1, 2):
                words = f"words {number}.{count}"
                await elsewhere.say(words, final=False)
                while reading.texts != [words]:
                    await reading.next()
            await stage.backend.writer.drain()
            await agent.lose()
            agent = elsewhere
        assert (await here.read(session)).agent_back_by is None


async def test_an_interim_that_another_process_has_settled_is_no_longer_written(
    backend: Backend, clock: Clock
) -> None:
    """Otherwise its first process would try without end."""
    async with processes(backend, clock, is_running=False) as two:
        here, there = two.stages
        session, agent = await here.talk()
        agent.report("one", "SG_1")
        agent.report("other", "SG_2")
        await here.backend.writer.commit_waiting()
        for segment in ("SG_1", "SG_2"):
            agent.report("one two", segment)
        elsewhere = there.talker(session, connection="con-2")
        await elsewhere.come()
        elsewhere.report("one two three", "SG_1", final=True, revision=3)
        elsewhere.report("newer", "SG_2", revision=4)
        await there.backend.writer.commit_waiting()

        await here.backend.writer.drain()

        assert here.backend.live.due_at() is None
        assert await here.texts(session) == ["one two three", "newer"]


async def test_a_fence_of_the_same_attempt_stays_in_its_process(here: Stage, there: Stage) -> None:
    """Fences of two processes have no common order: a late one would end the newer connection."""
    session, _ = await here.talk()
    async with there.commands(session) as commands:
        for fence in (Fence(1, "con-9"), Fence(1)):
            here.backend.hub.emit(AgentCommanded(session.id, fence))
        assert taken(commands) == [Fence(1)]


async def test_an_agent_that_never_left_is_noted_again(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Its process was cut off from the database, so that another one took the session over."""
    session, agent = await there.talk()
    with there.backend.hub.subscribe(agent_topic(session.id)):
        two.alive.discard(two.number(there))
        await here.backend.members.look()
        two.clock.pass_by(seconds=6)
        await here.reaper.look()
        assert (await here.read(session)).agent_at is None
        two.alive.add(two.number(there))
        await two.look_round()

        await two.compare()
        await two.compare()

        row = await here.read(session)
        assert (row.agent_at, row.agent_back_by) == (two.number(there), None)
    await agent.bye()
    assert (await here.read(session)).end_reason is EndReason.AGENT_LEFT


async def test_a_service_that_refuses_is_not_asked_again_and_again(here: Stage) -> None:
    """Only a missing worker may be connected elsewhere."""
    here.agents.refusal = NoAgent("The voice service can't be reached.")

    session = await here.start()

    assert session.status is SessionStatus.FAILED
    assert session.failure_message == "The voice service can't be reached."


async def test_an_agent_that_was_lost_elsewhere_does_not_count_as_lost(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Its old connection breaks after the new one was accepted by another process."""
    session, agent = await here.talk()
    again = there.talker(session, connection="con-2")
    await again.come()
    await agent.lose()

    row = await here.read(session)
    assert row.agent_at == two.number(there)
    assert row.agent_back_by is None
    async with here.commands(session) as commands:
        await two.compare()
        await two.compare()
        assert Fence(1, "in another process") in taken(commands)


async def test_only_one_process_requests_an_agent(two: Processes, here: Stage) -> None:
    """Each reaper sees the same deadline."""
    session, agent = await here.talk()
    await agent.lose()
    two.clock.pass_by(seconds=6)

    await two.look()

    asked = [one.attempt for stage in two.stages for one in stage.agents.asked]
    assert sorted(asked) == [1, 2]
    assert (await here.read(session)).attempt == 2


async def test_a_process_with_a_free_worker_takes_what_another_could_not_place(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The conversation is STARTING until then."""
    here.agents.places = 0
    here.agents.known.clear()
    session = await here.start()
    assert session.status is SessionStatus.STARTING
    await here.reaper.look()
    assert there.agents.asked == []

    await two.look()

    assert [one.session for one in there.agents.asked] == [session.id]


async def test_conversations_that_wait_for_a_worker_delay_no_other_deadline(
    two: Processes, here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are."""
    monkeypatch.setattr(reaper, "BATCH", 2)
    give_config(here.backend, start_timeout=timedelta(minutes=1))
    here.agents.known.discard("other")
    waiting = [await here.start(agent_name="other") for _ in range(3)]
    session, agent = await here.talk()
    await agent.lose()
    two.clock.pass_by(seconds=6)

    await here.reaper.look()
    await here.reaper.asked()

    assert (await here.read(session)).attempt == 2
    assert [(await here.read(one)).status for one in waiting] == [SessionStatus.STARTING] * 3


async def test_what_an_agent_does_is_known_elsewhere(
    two: Processes, here: Stage, there: Stage
) -> None:
    """As long as it is connected."""
    session, agent = await here.talk()
    with there.backend.hub.subscribe(user_topic(here.user.id)) as subscription:
        agent.state("THINKING")
        assert taken(subscription) == [SessionChanged(session.id, here.user.id, None)]
    row = await there.read(session)
    connections = there.backend.connections
    assert connections.is_elsewhere(row.agent_at)
    assert await connections.states_elsewhere([row]) == ["THINKING"]

    updates = await there.watch_sessions(session)
    await updates.next()
    await agent.lose()
    # The first event may come before the commit that says so.
    while (await updates.next()).session.agent_at is not None:
        pass

    row = await there.read(session)
    assert not connections.is_elsewhere(row.agent_at)
    assert two.bus.kept == {}


async def test_commands_are_not_sent_back(two: Processes, here: Stage) -> None:
    """A process ignores its own events."""
    session, _ = await here.talk()
    async with here.commands(session) as commands:
        here.backend.hub.emit(AgentCommanded(session.id, Stop("SAVED")))
        assert taken(commands) == [Stop("SAVED")]
