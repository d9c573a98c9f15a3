"""Where what an agent tells stands: by when it began, by the clock of that agent alone."""

import asyncio

import pytest

from tests.resolvers.stage import Stage


async def test_a_question_that_is_recognised_late_stands_before_its_answer(stage: Stage) -> None:
    """In the database and for those who watch; what was there does not move."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await agent.say("Hello.", "SG_1", began=1)
    await agent.say("Good morning!", "SG_2", role="AGENT", began=2)
    await agent.say("It is noon.", "SG_4", role="AGENT", began=5)
    before = {row.key: row.position for row in await stage.rows(session)}

    await agent.say("What time is it?", "SG_3", began=4)

    expected = ["Hello.", "Good morning!", "What time is it?", "It is noon."]
    assert await stage.texts(session) == expected
    while len(watcher.held) < len(expected):
        await watcher.next()
    assert watcher.texts == expected
    after = {row.key: row.position for row in await stage.rows(session)}
    assert before.items() <= after.items()


async def test_the_first_question_may_be_late_too(stage: Stage) -> None:
    """Nothing of this agent began before it; then it goes before the first that did later."""
    session, agent = await stage.talk()
    await stage.type(session, "Typed first.")
    await agent.say("It is noon.", "SG_2", role="AGENT", began=5)

    await agent.say("What time is it?", "SG_1", began=4)

    assert await stage.texts(session) == ["Typed first.", "What time is it?", "It is noon."]
    assert (await stage.read(session)).preview == "Typed first."


async def test_what_is_committed_together_is_in_order_too(stage: Stage) -> None:
    """An answer and its question, told at once in the wrong order."""
    session, agent = await stage.talk()
    answer = agent.report("It is noon.", "SG_2", role="AGENT", began=5, final=True)
    question = agent.report("What time is it?", "SG_1", began=4, final=True)

    await asyncio.gather(answer, question)

    assert await stage.texts(session) == ["What time is it?", "It is noon."]
    assert (await stage.read(session)).preview == "What time is it?"


async def test_a_place_does_not_change_with_the_time(stage: Stage) -> None:
    """The first sight decides, whatever its agent says later of when it began."""
    session, agent = await stage.talk()
    await agent.say("One", "SG_1", began=5, final=False)
    await agent.say("Two.", "SG_2", began=6)
    await agent.say("One.", "SG_1", began=9)

    assert await stage.texts(session) == ["One.", "Two."]


async def test_the_clocks_of_two_agents_are_not_compared(stage: Stage) -> None:
    """A new attempt whose clock is behind speaks at the end; an old one drains among its own."""
    session, old = await stage.talk()
    await old.say("Hello.", "SG_1", began=100)
    await old.say("Good morning!", "SG_3", role="AGENT", began=102)
    await old.lose()
    await stage.pass_by(6)
    assert (await stage.read(session)).attempt == 2
    new = stage.talker(session, attempt=2, connection="con-2")
    await new.come()
    await new.say("Hello again.", "SG_9", role="AGENT", began=-50)
    await new.say("Where were we?", "SG_8", role="AGENT", began=-60)

    since = 6.0  # seconds since the old one said something
    await old.say("How are you?", "SG_2", began=101 - since)
    await old.say("Good bye.", "SG_4", began=103 - since)

    assert await stage.texts(session) == [
        "Hello.",
        "How are you?",
        "Good morning!",
        "Where were we?",
        "Hello again.",
        "Good bye.",
    ]


@pytest.mark.parametrize("is_typed", [True, False])
async def test_what_a_person_types_stays_where_it_was_typed(stage: Stage, is_typed: bool) -> None:
    """Between the agent's utterances; it has no time of the agent's."""
    session, agent = await stage.talk()
    await agent.say("Hello.", "SG_1", began=1)
    if is_typed:
        await stage.type(session, "And typed.")
    await agent.say("Good morning!", "SG_2", role="AGENT", began=2)

    typed = ["And typed."] if is_typed else []
    assert await stage.texts(session) == ["Hello.", *typed, "Good morning!"]


async def test_after_a_restart_the_times_are_still_known(stage: Stage) -> None:
    """Nothing of it is kept in memory alone."""
    session, agent = await stage.talk()
    await agent.say("It is noon.", "SG_2", role="AGENT", began=5)
    stage.backend.ledger.forget(session.id)

    await agent.say("What time is it?", "SG_1", began=4)

    assert await stage.texts(session) == ["What time is it?", "It is noon."]
