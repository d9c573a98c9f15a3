"""The others take over what a dead process held."""

from models.tables import SessionStatus
from tests.resolvers.several.processes import Processes
from tests.resolvers.stage import Stage


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
    """The process that takes over looks who is in the room: LiveKit tells only once who comes."""
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
