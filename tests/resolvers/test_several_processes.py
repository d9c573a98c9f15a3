"""Two processes of one database keep the promises of one.

An agent is connected to one of them, and the person to the other. Events between them come late, in
another order, or not at all.
"""

from collections.abc import AsyncIterator

import pytest

from agent_bridge.server.workers import NoAgent
from hub.events import (
    AgentCommanded,
    Fence,
    Input,
    SessionChanged,
    Stop,
    TranscriptCommitted,
    TranscriptEnded,
    agent_topic,
    transcripts_topic,
    user_topic,
)
from models.tables import EndReason, SessionStatus
from resolvers.backend import Backend
from resolvers.refusals import Conflict
from resolvers.sessions import manage
from tests.resolvers.people import Clock
from tests.resolvers.several import Processes, processes
from tests.resolvers.stage import Stage, message, taken


@pytest.fixture
async def two(backend: Backend, clock: Clock) -> AsyncIterator[Processes]:
    async with processes(backend, clock) as two:
        yield two


@pytest.fixture
def here(two: Processes) -> Stage:
    return two.stages[0]


@pytest.fixture
def there(two: Processes) -> Stage:
    return two.stages[1]


async def test_words_are_read_in_another_process(here: Stage, there: Stage) -> None:
    """A reader there gets interims and finals from an agent here, then the end."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()

    await agent.say("he", final=False)
    await agent.say("hello", final=False)
    await agent.say("hello there")

    while reading.texts != ["hello there"]:
        await reading.next()
    await agent.bye()
    [*_, last] = await reading.rest()
    assert last.end is not None
    assert last.end.reason == "SESSION_ENDED"


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_lost_events_are_found_in_the_database(
    two: Processes, here: Stage, there: Stage, is_deleted: bool
) -> None:
    """The last event of a session included."""
    session, agent = await here.talk()
    reading, updates = await there.watch(session), await there.watch_sessions(session)
    await reading.caught_up()
    await updates.next()
    two.bus.is_quick = False
    await agent.say("never heard of", "SG_1")
    await agent.say("again", "SG_2")
    if is_deleted:
        await manage.delete_session(here.backend.transactions, here.viewer, session.id)
    else:
        await agent.bye()
    two.bus.lose()

    await two.compare()

    [*_, last] = await reading.rest()
    assert last.end is not None
    assert last.end.reason == ("SESSION_DELETED" if is_deleted else "SESSION_ENDED")
    if is_deleted:
        assert (await updates.next()).deleted_session_id == session.id
    else:
        assert reading.texts == ["never heard of", "again"]
        assert (await updates.next()).session.status is SessionStatus.ENDED


async def test_what_was_missed_is_told_once(two: Processes, here: Stage, there: Stage) -> None:
    """A comparison that finds nothing new publishes nothing."""
    session, agent = await here.talk()
    await agent.say("hello")
    topic = transcripts_topic(session.id)
    with there.backend.hub.subscribe(topic) as subscription:
        await two.compare()
        assert [type(event) for event in taken(subscription)] == [TranscriptCommitted]
        await two.compare()
        assert taken(subscription) == []


async def test_the_last_words_come_before_an_end_that_overtakes_them(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The end comes from the process that ended it, and the words from another."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()
    two.bus.is_quick = False
    await agent.say("the last word")
    late = [one for one in two.bus.under_way if one[1] == transcripts_topic(session.id)]
    two.bus.lose()
    await agent.bye()
    two.bus.deliver()

    [*_, last] = await reading.rest()

    assert last.end is not None
    assert last.end.reason == "SESSION_ENDED"
    assert reading.texts == ["the last word"]
    assert late, "the commit was published"


async def test_commits_of_two_processes_come_in_any_order(
    two: Processes, here: Stage, there: Stage
) -> None:
    """A reader that gets the later commit first reads the earlier one from the database."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()
    two.bus.is_quick = False
    await agent.say("said here")
    await there.type(session, "typed there")
    two.bus.deliver()

    while reading.texts != ["said here", "typed there"]:
        await reading.next()


# ---------------------------------------------------------------------- agents


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


# ---------------------------------------------------------------------- people


async def test_who_reads_along_elsewhere_is_not_missed(
    two: Processes, here: Stage, there: Stage
) -> None:
    """A person without media may type at any moment, to any process."""
    session, agent = await here.talk(with_person=False)
    reading = await there.watch(session)
    await reading.caught_up()
    for _ in range(10):
        two.clock.pass_by(seconds=15)
        await two.compare()
        await here.reaper.look()
    assert (await here.read(session)).status is SessionStatus.ACTIVE

    await reading.close()
    two.clock.pass_by(seconds=61)
    await here.reaper.look()

    assert (await here.read(session)).end_reason is EndReason.ABANDONED
    await agent.bye()


async def test_who_is_heard_elsewhere_is_not_missed(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Only the process of the agent knows of the words."""
    session, agent = await here.talk(with_person=False)
    with here.backend.hub.subscribe(agent_topic(session.id)):
        for number in range(10):
            await agent.say("words", f"SG_{number}")
            two.clock.pass_by(seconds=15)
            await two.compare()
            await there.reaper.look()
    assert (await here.read(session)).status is SessionStatus.ACTIVE


async def test_changes_of_other_conversations_are_found(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Whoever watches all conversations of a user learns of those that began, ended or went."""
    ended, agent = await here.talk()
    deleted, _ = await here.talk()
    updates = await there.watch_sessions()
    await updates.next()
    await two.compare()
    for _ in range(2):
        await updates.next()
    two.bus.is_quick = False
    assert there.backend.lost_events is not None
    await there.backend.lost_events.look({transcripts_topic(ended.id)})
    begun = await here.start()
    await agent.bye()
    await manage.delete_session(here.backend.transactions, here.viewer, deleted.id)
    two.bus.lose()

    await two.compare()

    found = [await updates.next() for _ in range(3)]
    told = {one.session.id: one.session.status for one in found if one.session is not None}
    assert told == {begun.id: SessionStatus.STARTING, ended.id: SessionStatus.ENDED}
    assert [one.deleted_session_id for one in found if one.session is None] == [deleted.id]


async def test_a_deleted_conversation_does_not_come_back(
    two: Processes, here: Stage, there: Stage
) -> None:
    """An older state that arrives after the deletion is dropped."""
    session, agent = await here.talk()
    updates = await there.watch_sessions()
    await updates.next()
    two.bus.is_quick = False
    await agent.say("something")
    late, two.bus.under_way = two.bus.under_way, []
    await manage.delete_session(there.backend.transactions, there.viewer, session.id)
    assert (await updates.next()).deleted_session_id == session.id
    two.bus.under_way = late
    two.bus.deliver()

    begun = await there.start()

    assert (await updates.next()).session.id == begun.id


# ---------------------------------------------------------------------- the end of a process


async def test_the_others_take_over_what_a_dead_process_held(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Readers end with what is stored, and the agent's absence is noted, by one of them."""
    session, agent = await there.talk()
    reading = await here.watch(session)
    await reading.caught_up()
    await agent.say("stored", final=False)
    await agent.say("shown, but never stored", final=False)
    while reading.texts != ["shown, but never stored"]:
        await reading.next()

    await two.die(there)
    await here.reaper.look()

    while reading.texts != ["stored"]:
        await reading.next()
    row = await here.read(session)
    assert (row.held_by, row.agent_at) == (two.number(here), None)
    assert row.agent_back_by is not None
    assert row.agent_retry_by is not None
    assert row.person_back_by is not None


async def test_a_person_in_a_room_is_not_missed_when_a_process_dies(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Each process sees the people in LiveKit's rooms, and tells of one who comes only once."""
    session, _ = await there.talk()
    await here.media.person_came(session.id)
    await there.media.person_left(session.id)
    assert (await here.read(session)).person_back_by is not None

    await two.die(there)
    await here.reaper.look()
    again = here.talker(session, connection="con-2")
    await again.come()
    two.clock.pass_by(seconds=61)
    await here.reaper.look()

    row = await here.read(session)
    assert (row.status, row.person_back_by) == (SessionStatus.ACTIVE, None)


async def test_a_process_that_is_seen_again_keeps_what_it_holds(
    two: Processes, here: Stage, there: Stage
) -> None:
    """It needs a moment to take its lock again after PostgreSQL has restarted."""
    session, _ = await there.talk()
    two.alive.discard(two.number(there))
    two.clock.pass_by(seconds=2)
    await here.reaper.look()
    two.clock.pass_by(seconds=2)
    two.alive.add(two.number(there))
    await here.reaper.look()
    two.clock.pass_by(seconds=4)
    await here.reaper.look()

    assert (await here.read(session)).held_by == two.number(there)


async def test_an_end_is_told_once_for_each_stream(here: Stage, there: Stage) -> None:
    """Events of both processes reach the readers of both."""
    session, agent = await here.talk()
    with there.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        await agent.bye()
        ends = [one for one in taken(subscription) if isinstance(one, TranscriptEnded)]
        assert ends == [TranscriptEnded(session.id, "SESSION_ENDED", 0)]


async def test_commands_are_not_sent_back(two: Processes, here: Stage) -> None:
    """A process ignores its own events."""
    session, _ = await here.talk()
    async with here.commands(session) as commands:
        here.backend.hub.emit(AgentCommanded(session.id, Stop("SAVED")))
        assert taken(commands) == [Stop("SAVED")]
