"""A person who is known to one process is not absent for the others."""

from hub.events import (
    agent_topic,
)
from models.tables import EndReason, SessionStatus
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
