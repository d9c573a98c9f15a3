"""A person who is known to one process is not absent for the others."""

import pytest

from hub.events import agent_topic
from models.tables import EndReason, SessionStatus
from resolvers.sessions import reaper
from tests.resolvers.several.processes import Processes
from tests.resolvers.stage import Stage


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


async def test_a_room_is_watched_by_the_process_of_its_agent(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Until there is one, every process watches it; and another one, if that process dies."""
    session = await here.start()
    assert await there.media.rooms() == {session.room_name: session.id}
    await here.media.person_came(session.id)
    await here.talker(session).come()
    assert await here.media.rooms() == {session.room_name: session.id}
    assert await there.media.rooms() == {}

    await two.die(here)
    await there.reaper.look()

    assert await there.media.rooms() == {session.room_name: session.id}
    assert (await there.read(session)).person_back_by is not None


async def test_a_person_is_not_missed_when_the_agent_comes_back_elsewhere(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The other process looks whether the person is there; the first one no longer does."""
    session, agent = await here.talk()
    await agent.lose()
    await there.talker(session, connection="con-2").come()
    assert (await there.read(session)).person_back_by is not None

    await there.media.person_came(session.id)
    await here.media.person_left(session.id)

    assert (await there.read(session)).person_back_by is None


async def test_only_the_process_of_the_agent_ends_a_conversation_without_a_person(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The others don't know who is in the room."""
    session, agent = await here.talk()
    await here.media.person_left(session.id)
    here.backend.connections.person_came(session.id)
    two.clock.pass_by(seconds=61)

    await there.reaper.look()
    await here.reaper.look()

    assert (await here.read(session)).status is SessionStatus.ACTIVE
    await here.media.person_left(session.id)
    two.clock.pass_by(seconds=61)
    await there.reaper.look()
    assert (await here.read(session)).status is SessionStatus.ACTIVE
    await here.reaper.look()
    assert (await here.read(session)).end_reason is EndReason.ABANDONED
    await agent.bye()


async def test_who_left_while_their_process_was_replaced_is_missed(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The new process has never seen the one before it, and the agent is back first."""
    session, _agent = await here.talk()
    await two.die(here)
    await two.die(there)
    await two.replace(there)

    await there.talker(session, connection="con-2").come()

    assert (await there.read(session)).person_back_by is not None
    two.clock.pass_by(seconds=61)
    await there.reaper.look()
    assert (await there.read(session)).end_reason is EndReason.ABANDONED


async def test_a_process_that_does_not_hold_a_conversation_clears_no_absence(
    two: Processes, here: Stage, there: Stage
) -> None:
    """It may have looked before the person left."""
    session, _agent = await here.talk()
    await here.media.person_left(session.id)

    await there.media.person_came(session.id)

    assert (await here.read(session)).person_back_by is not None
    await here.media.person_came(session.id)
    assert (await here.read(session)).person_back_by is None


async def test_absent_people_of_another_process_delay_no_deadline(
    two: Processes, here: Stage, there: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if that process does not act."""
    monkeypatch.setattr(reaper, "BATCH", 2)
    for _ in range(3):
        await there.talk(with_person=False)
    session, _agent = await here.talk(with_person=False)
    two.clock.pass_by(seconds=61)

    await here.reaper.look()

    assert (await here.read(session)).end_reason is EndReason.ABANDONED
