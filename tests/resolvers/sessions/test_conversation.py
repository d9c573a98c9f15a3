"""Agents arrive, speak and leave in a running conversation."""

import pytest

from agent_bridge.protocol import Ack, Nack
from agent_bridge.server.handler import HelloResult, SessionGone
from agent_bridge.server.workers import NoFreePlace, StartUnplaced
from hub.events import Stop
from models.tables import EndReason, Role, SessionStatus, UtteranceSource
from resolvers.sessions import manage
from resolvers.transcripts import transactions
from tests.resolvers.stage import Stage, message, not_stored, taken

# ---------------------------------------------------------------------- starting


async def test_a_ready_agent_makes_the_session_active(stage: Stage) -> None:
    """A hello alone does not; a second ready, after a reconnect, changes nothing."""
    session = await stage.start()
    agent = stage.talker(session)
    assert await agent.hello() == HelloResult(is_current=True)
    assert (await stage.read(session)).status is SessionStatus.STARTING
    stage.clock.pass_by(seconds=2)

    await agent.ready()

    active = await stage.read(session)
    assert (active.status, active.started_at) == (SessionStatus.ACTIVE, stage.clock())
    assert active.start_by is None
    stage.clock.pass_by(seconds=2)
    await agent.ready()
    again = await stage.read(session)
    assert (again.started_at, again.version) == (active.started_at, active.version)


async def test_an_agent_that_does_not_come_is_an_outcome(stage: Stage) -> None:
    """Five seconds after the start the session is FAILED with AGENT_TIMEOUT."""
    session = await stage.start()
    await stage.pass_by(4.999)
    assert (await stage.read(session)).status is SessionStatus.STARTING

    await stage.pass_by(0.001)

    row = await stage.read(session)
    assert (row.status, row.failure_code) == (SessionStatus.FAILED, "AGENT_TIMEOUT")
    assert row.failure_message == "The agent was not ready within 5 seconds. Please try again."


async def test_a_late_ready_of_the_current_attempt_counts(stage: Stage) -> None:
    """FAILED becomes ACTIVE, and the failure is cleared."""
    session = await stage.start()
    await stage.pass_by(5)

    await stage.talker(session).come()

    row = await stage.read(session)
    assert row.status is SessionStatus.ACTIVE
    assert (row.failure_code, row.failure_message, row.retry_by) == (None, None, None)


async def test_a_late_ready_of_an_older_attempt_does_not_count(stage: Stage) -> None:
    """The older attempt is told that it is not current, and the newer one goes on."""
    session = await stage.start()
    old = stage.talker(session, attempt=1)
    await old.hello()
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)

    await old.ready()
    assert (await stage.talker(session, 1, "con-2").hello()).is_current is False

    assert (await stage.read(session)).status is SessionStatus.STARTING
    await stage.talker(session, 2, "con-3").come()
    assert (await stage.read(session)).status is SessionStatus.ACTIVE


async def test_a_failed_session_that_nobody_retries_ends(stage: Stage) -> None:
    """After another minute it is ENDED with START_FAILED and without a failure."""
    session = await stage.start()
    await stage.pass_by(5)
    await stage.pass_by(59.999)
    assert (await stage.read(session)).status is SessionStatus.FAILED

    await stage.pass_by(0.001)

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.START_FAILED)
    assert row.ended_at == stage.clock()
    assert row.failure_code is None


async def test_a_worker_that_refuses_after_all_is_an_outcome(stage: Stage) -> None:
    """The session is FAILED with AGENT_UNAVAILABLE, unless an agent has come meanwhile."""
    first, second = await stage.start(), await stage.start()
    await stage.talker(second).come()

    watcher = await stage.watch_sessions()
    await watcher.next()
    for request in stage.agents.asked:
        stage.backend.hub.emit(StartUnplaced(request.session, request.attempt, "FULL"))

    update = await watcher.next()
    assert (update.session.id, update.session.failure_code) == (first.id, "AGENT_UNAVAILABLE")
    await stage.backend.writer.drain()
    assert (await stage.read(second)).status is SessionStatus.ACTIVE


async def test_an_agent_that_leaves_before_it_is_ready_failed(stage: Stage) -> None:
    """The session is FAILED, so the user may retry."""
    session = await stage.start()
    agent = stage.talker(session)
    await agent.hello()

    await agent.bye()

    row = await stage.read(session)
    assert (row.status, row.failure_code) == (SessionStatus.FAILED, "AGENT_UNAVAILABLE")


async def test_a_late_agent_that_leaves_before_it_is_ready_ends_nothing(stage: Stage) -> None:
    """The session had already FAILED and may still be retried within its minute."""
    session = await stage.start()
    agent = stage.talker(session)
    await agent.hello()
    await stage.pass_by(5)
    failed = await stage.read(session)

    await agent.bye()

    row = await stage.read(session)
    assert (row.status, row.retry_by) == (SessionStatus.FAILED, failed.retry_by)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)


async def test_an_agent_finds_no_session_where_there_is_none(stage: Stage) -> None:
    """SessionGone is raised for a deleted session and for an attempt never made."""
    session = await stage.start()
    with pytest.raises(SessionGone):
        await stage.talker(session, attempt=2).hello()
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)
    with pytest.raises(SessionGone):
        await stage.talker(session).hello()


# ---------------------------------------------------------------------- speaking


async def test_what_an_agent_says_is_kept_as_it_was_said(stage: Stage) -> None:
    """Every field of the utterance frame is stored in its column."""
    session, agent = await stage.talk()
    answer = await agent.say(
        "Guten Tag",
        "SG_x",
        role="AGENT",
        revision=7,
        ended_at=stage.clock(),
        interrupted=True,
        confidence=0.75,
        language="de",
        speaker="S1",
        source="TYPED",
    )

    assert answer == Ack("SG_x", 7)
    [row] = await stage.rows(session)
    assert (row.key, row.role, row.text, row.is_final) == ("SG_x", Role.AGENT, "Guten Tag", True)
    assert (row.started_at, row.ended_at) == (stage.clock(), stage.clock())
    assert (row.is_interrupted, row.confidence, row.language, row.speaker) == (
        True,
        0.75,
        "de",
        "S1",
    )
    assert row.source is UtteranceSource.TYPED
    assert row.agent_revision == 7


@pytest.mark.parametrize("source", ["SPEECH", "TYPED"])
async def test_a_final_that_is_sent_again_is_acknowledged_again(stage: Stage, source: str) -> None:
    """A resend after a lost ack changes nothing and is no error."""
    session, agent = await stage.talk()
    await agent.say("once", "SG_1", revision=3, role="AGENT", source=source)
    [before] = await stage.rows(session)

    again = await agent.say("once", "SG_1", revision=3, role="AGENT", source=source)

    assert again == Ack("SG_1", 3)
    [row] = await stage.rows(session)
    assert (row.revision, row.seq) == (before.revision, before.seq)


async def test_a_written_final_is_acknowledged_however_it_was_stored(stage: Stage) -> None:
    """Another transaction may store it before the commit that acknowledges it."""
    session, agent = await stage.talk()
    answer = agent.report("written", "SG_1", role="AGENT", source="TYPED", final=True)
    await stage.backend.saving.save_session(stage.viewer, session.id, [])

    assert await answer == Ack("SG_1", 1)


async def test_an_agent_does_not_take_the_key_of_a_typed_line(stage: Stage) -> None:
    """The agent gets a terminal nack, and the user's line stays."""
    session, agent = await stage.talk()
    await stage.type(session, "typed", key="k")

    answer = await agent.say("said", "k", revision=9)

    assert isinstance(answer, Nack)
    assert (answer.code, answer.terminal) == ("KEY_TAKEN", True)
    assert await stage.texts(session) == ["typed"]


async def test_the_state_of_the_agent_is_shown_while_it_is_connected(stage: Stage) -> None:
    """State changes cost no version; it is INITIALIZING at first and null while disconnected."""
    session, agent = await stage.talk()
    watcher = await stage.watch_sessions(session)
    first = await watcher.next()
    assert stage.backend.connections.agent_state(session.id) == "INITIALIZING"

    agent.state("THINKING")

    update = await watcher.next()
    assert stage.backend.connections.agent_state(session.id) == "THINKING"
    assert update.session.version == first.session.version
    agent.state("THINKING")
    await agent.lose()
    await watcher.next()
    assert stage.backend.connections.agent_state(session.id) is None


# ---------------------------------------------------------------------- leaving


async def test_an_agent_that_leaves_ends_the_conversation(stage: Stage) -> None:
    """The session is ENDED at once with AGENT_LEFT."""
    session, agent = await stage.talk()
    await agent.say("good bye", role="AGENT")

    await agent.bye()

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.AGENT_LEFT)


@pytest.mark.parametrize("reason", ["DRAINING", "RESTARTING"])
async def test_an_agent_that_restarts_is_only_lost(stage: Stage, reason: str) -> None:
    """The session stays ACTIVE and waits for another agent."""
    session, agent = await stage.talk()

    await agent.bye(reason)

    row = await stage.read(session)
    assert row.status is SessionStatus.ACTIVE
    assert row.agent_retry_by is not None


async def test_a_lost_agent_that_comes_back_goes_on(stage: Stage) -> None:
    """Its deadlines are cleared, and no other agent is asked for."""
    session, agent = await stage.talk()
    await agent.lose()
    await stage.pass_by(4.999)

    await stage.talker(session, connection="con-2").come()

    await stage.pass_by(600)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE
    assert len(stage.agents.asked) == 1


async def test_a_lost_agent_gets_one_new_attempt_by_itself(stage: Stage) -> None:
    """After five seconds the session is STARTING again, with attempt 2."""
    session, agent = await stage.talk()
    await agent.lose()

    await stage.pass_by(5)

    row = await stage.read(session)
    assert (row.status, row.attempt) == (SessionStatus.STARTING, 2)
    assert stage.agents.asked[-1].attempt == 2
    await stage.talker(session, 2, "con-2").come()
    active = await stage.read(session)
    assert (active.status, active.started_at) == (SessionStatus.ACTIVE, session.started_at)


async def test_a_new_attempt_that_nobody_takes_fails(stage: Stage) -> None:
    """The worker had no free place: the session is FAILED and may be retried."""
    session, agent = await stage.talk()
    await agent.lose()
    stage.agents.refusal = NoFreePlace("all are busy")

    await stage.pass_by(5)

    row = await stage.read(session)
    assert (row.status, row.failure_code) == (SessionStatus.FAILED, "AGENT_UNAVAILABLE")


async def test_without_anybody_to_ask_a_lost_agent_is_waited_for(stage: Stage) -> None:
    """A worker that connects within the minute gets the session."""
    session, agent = await stage.talk()
    await agent.lose()
    stage.agents.places = 0
    for _ in range(5):
        await stage.pass_by(5)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE
    stage.agents.places = 1
    await stage.pass_by(5)
    assert (await stage.read(session)).attempt == 2


async def test_an_agent_that_stays_away_abandons_the_conversation(stage: Stage) -> None:
    """After a minute the session is ENDED with ABANDONED."""
    session, agent = await stage.talk()
    await agent.lose()
    stage.agents.places = 0
    await stage.pass_by(59.999)
    await stage.reaper.look()
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    await stage.pass_by(0.001)

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.ABANDONED)


async def test_a_lost_agent_whose_new_attempt_fails_is_a_failed_start(stage: Stage) -> None:
    """The automatic attempt fails too; a minute later the session is ENDED with START_FAILED."""
    session, agent = await stage.talk()
    await agent.lose()
    await stage.pass_by(5)
    await stage.pass_by(5)
    assert (await stage.read(session)).status is SessionStatus.FAILED

    await stage.pass_by(60)

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.START_FAILED)
    assert stage.backend.metrics.reaped == {
        "agent_asked": 1,
        "start_timeout": 1,
        "retry_over": 1,
    }


async def test_a_person_who_stays_away_abandons_the_conversation(stage: Stage) -> None:
    """Without media or typed lines for a minute, it is ABANDONED and the agent is stopped."""
    session, agent = await stage.talk()
    await stage.media.person_left(session.id)
    await stage.pass_by(59.999)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    async with stage.commands(session) as commands:
        await stage.pass_by(0.001)
        assert taken(commands) == [Stop("ABANDONED")]

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDING, EndReason.ABANDONED)
    await agent.bye()
    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_a_person_who_comes_back_is_not_away(stage: Stage) -> None:
    """A user whose words still arrive counts as present too."""
    session, agent = await stage.talk()
    await stage.media.person_left(session.id)
    await stage.pass_by(59)
    await stage.media.person_came(session.id)
    await stage.pass_by(600)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    await stage.media.person_left(session.id)
    await stage.pass_by(59)
    await agent.say("I am here", role="USER")
    await stage.pass_by(59.999)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE
    await stage.pass_by(0.001)
    assert (await stage.read(session)).end_reason is EndReason.ABANDONED


async def test_a_person_who_reads_along_is_there(stage: Stage) -> None:
    """A user may only read and type; the minute starts when they stop watching."""
    session, _ = await stage.talk(with_person=False)
    reading = await stage.watch(session)
    await reading.caught_up()
    await stage.pass_by(60)
    await stage.pass_by(60)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    await reading.close()
    await stage.pass_by(60)

    assert (await stage.read(session)).end_reason is EndReason.ABANDONED


async def test_the_agents_own_words_do_not_stand_for_a_person(stage: Stage) -> None:
    """Without a user, an agent that talks is stopped after a minute."""
    session, agent = await stage.talk(with_person=False)
    await stage.pass_by(59)
    await agent.say("hello? is anybody there?", role="AGENT")

    await stage.pass_by(1)

    assert (await stage.read(session)).end_reason is EndReason.ABANDONED


async def test_a_person_can_not_come_to_what_is_over(stage: Stage) -> None:
    """The media backend learns that the session is gone."""
    session = await stage.start()
    await stage.backend.saving.save_session(stage.viewer, session.id, [])

    with pytest.raises(SessionGone):
        await stage.media.person_came(session.id)


# ---------------------------------------------------------------------- after the end


async def test_an_agent_that_comes_after_the_end_is_told_to_stop(stage: Stage) -> None:
    """It gets the stop reason, may still hand in words, and may leave."""
    session = await stage.start()
    await stage.backend.saving.save_session(stage.viewer, session.id, [message("a")])
    agent = stage.talker(session)

    welcome = await agent.come()
    await agent.say("late")
    await agent.bye()

    assert (welcome.is_current, welcome.stop_reason) == (True, "SAVED")
    row = await stage.read(session)
    assert (row.status, row.utterance_count) == (SessionStatus.ENDED, 2)


async def test_a_deleted_session_takes_nothing_any_more(stage: Stage) -> None:
    """Interims and finals get a terminal nack, and no row reappears."""
    session, agent = await stage.talk()
    await agent.say("hel", final=False)
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    for final in (False, True):
        answer = await agent.say("hello", final=final)
        assert isinstance(answer, Nack)
        assert (answer.code, answer.terminal) == ("GONE", True)
    await agent.bye()

    assert await stage.rows(session) == []


@pytest.mark.parametrize(
    "end",
    ["START_FAILED", "SAVED", "ABANDONED", "GRACE", "LEFT", "DELETED", "FENCED", "NOT_STORED"],
)
async def test_nothing_is_remembered_of_who_was_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """This holds however a conversation ends, and for agents that come afterwards."""
    backend, viewer = stage.backend, stage.viewer
    if end == "START_FAILED":
        await stage.start()
        await stage.pass_by(5)
        await stage.pass_by(60)
    elif end == "SAVED":
        session = await stage.start()
        await backend.saving.save_session(viewer, session.id, [message("a")])
        late = stage.talker(session)
        await late.hello()
        await late.say("late")
        await late.bye()
    elif end == "FENCED":
        session = await stage.start()
        await stage.pass_by(5)
        await backend.chats.retry_agent(viewer, session.id)
        await backend.saving.save_session(viewer, session.id, [])
        late = stage.talker(session, 1)
        await late.hello()
        await late.say("late")
        await late.lose()
    else:
        session, agent = await stage.talk(with_person=False)
        await agent.say("hello")
        if end == "ABANDONED":
            stage.agents.places = 0
            await agent.lose()
            await stage.pass_by(60)
        elif end == "GRACE":
            await backend.saving.save_session(viewer, session.id, [])
            await stage.pass_by(10)
            assert backend.connections.agents()
            await agent.lose()
        elif end == "DELETED":
            await manage.delete_session(backend.transactions, viewer, session.id)
            await agent.lose()
        elif end == "LEFT":
            await agent.bye()
        else:
            await backend.saving.save_session(viewer, session.id, [])
            await stage.pass_by(10)
            with monkeypatch.context() as patch:
                patch.setattr(transactions, "transact", not_stored)
                await agent.lose()
            await stage.reaper.look()

    assert not backend.connections._sessions
    assert not backend.connections.unnoted()
