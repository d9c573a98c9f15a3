"""Agent utterances are ordered by when they began, by that agent's own clock."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from models.database import Connection, transact
from models.sort_keys import key_of
from models.sqlite import client
from models.tables import Role, Session, UtteranceSource
from resolvers.transcripts.edit import AHEAD
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.transaction import Transaction
from tests.resolvers.stage import Stage
from tests.rows import START


async def test_a_question_that_is_recognised_late_stands_before_its_answer(stage: Stage) -> None:
    """In the database and for subscribers; existing rows do not move."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await agent.say("Hello.", "SG_1", began=1)
    await agent.say("Good morning!", "SG_2", role="AGENT", began=2)
    await agent.say("It is noon.", "SG_4", role="AGENT", began=5)
    before = {row.key: row.sort_key for row in await stage.rows(session)}

    await agent.say("What time is it?", "SG_3", began=4)

    expected = ["Hello.", "Good morning!", "What time is it?", "It is noon."]
    assert await stage.texts(session) == expected
    while len(watcher.held) < len(expected):
        await watcher.next()
    assert watcher.texts == expected
    after = {row.key: row.sort_key for row in await stage.rows(session)}
    assert before.items() <= after.items()


async def test_the_first_question_may_be_late_too(stage: Stage) -> None:
    """With no earlier utterance of this agent, it goes before the agent's first later one."""
    session, agent = await stage.talk()
    await stage.type(session, "Typed first.")
    await agent.say("It is noon.", "SG_2", role="AGENT", began=5)

    await agent.say("What time is it?", "SG_1", began=4)

    assert await stage.texts(session) == ["Typed first.", "What time is it?", "It is noon."]
    assert (await stage.read(session)).preview == "Typed first."


async def test_what_is_committed_together_is_in_order_too(stage: Stage) -> None:
    """An answer and its question, reported together in the wrong order, are sorted."""
    session, agent = await stage.talk()
    answer = agent.report("It is noon.", "SG_2", role="AGENT", began=5, final=True)
    question = agent.report("What time is it?", "SG_1", began=4, final=True)

    await asyncio.gather(answer, question)

    assert await stage.texts(session) == ["What time is it?", "It is noon."]
    assert (await stage.read(session)).preview == "What time is it?"


async def test_a_place_does_not_change_with_the_time(stage: Stage) -> None:
    """The first report decides, even if later ones give another start time."""
    session, agent = await stage.talk()
    await agent.say("One", "SG_1", began=5, final=False)
    await agent.say("Two.", "SG_2", began=6)
    await agent.say("One.", "SG_1", began=9)

    assert await stage.texts(session) == ["One.", "Two."]


async def test_the_clocks_of_two_agents_are_not_compared(stage: Stage) -> None:
    """A new attempt with a slow clock goes to the end; an old one's words go among its own."""
    session, old = await stage.talk()
    await old.say("Hello.", "SG_1", began=-102)
    await old.say("Good morning!", "SG_3", role="AGENT", began=-100)
    await old.lose()
    await stage.pass_by(6)
    assert (await stage.read(session)).attempt == 2
    new = stage.talker(session, attempt=2, connection="con-2")
    await new.come()
    await new.say("Hello again.", "SG_9", role="AGENT", began=-500)
    await new.say("Where were we?", "SG_8", role="AGENT", began=-600)

    since = 6.0  # seconds since the old agent spoke
    await old.say("How are you?", "SG_2", began=-101 - since)
    await old.say("Good bye.", "SG_4", began=-99 - since)

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
    """A typed line stays between the agent's utterances; it has no agent time."""
    session, agent = await stage.talk()
    await agent.say("Hello.", "SG_1", began=1)
    if is_typed:
        await stage.type(session, "And typed.")
    await agent.say("Good morning!", "SG_2", role="AGENT", began=2)

    typed = ["And typed."] if is_typed else []
    assert await stage.texts(session) == ["Hello.", *typed, "Good morning!"]


async def test_after_a_restart_the_times_are_still_known(stage: Stage) -> None:
    """Start times are read from the database, not from memory alone."""
    session, agent = await stage.talk()
    await agent.say("It is noon.", "SG_2", role="AGENT", began=5)
    stage.backend.live.forget(session.id)

    await agent.say("What time is it?", "SG_1", began=4)

    assert await stage.texts(session) == ["What time is it?", "It is noon."]


async def test_a_time_in_the_future_puts_nothing_above_it(stage: Stage) -> None:
    """For ordering it is capped at `AHEAD` from now; the stored start time is as reported."""
    session, agent = await stage.talk()
    day = timedelta(days=1)
    await agent.say("Hello.", "SG_1", began=day.total_seconds())
    told_at = stage.clock()
    stage.clock.pass_by(seconds=AHEAD.total_seconds())

    await agent.say("Good morning!", "SG_2", role="AGENT", began=0)
    stage.clock.pass_by(seconds=1)
    await agent.say("What time is it?", "SG_3", began=0)
    await agent.say("It is noon.", "SG_5", role="AGENT", began=0.5)
    await agent.say("And the date?", "SG_4", began=0.25)

    assert await stage.texts(session) == [
        "Hello.",
        "Good morning!",
        "What time is it?",
        "And the date?",
        "It is noon.",
    ]
    rows = await stage.rows(session)
    assert rows[0].started_at == told_at + day
    assert rows[0].began_at == told_at + AHEAD
    assert (await stage.read(session)).heard_until == stage.clock() + timedelta(seconds=0.5)


# Each row: when it began, in seconds; None for a row that is not this agent attempt's.
CASES = [
    ([], 5, None),
    ([None, None], 5, None),
    ([1, 2], 5, None),
    ([1, 5], 5, None),
    ([1, 5], 3, (0, 1)),
    ([1, 5, 3], 4, None),
    ([1, None, 5], 3, (0, 1)),
    ([1, 5, None], 3, (0, 1)),
    ([5], 3, (-2, 0)),
    ([None, 5, 7], 3, (0, 1)),
    ([1, 9, 2, 8], 3, (2, 3)),
]


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize(("rows", "began", "expected"), CASES)
async def test_a_segment_goes_where_it_began(
    stage: Stage,
    is_written: bool,
    rows: list[float | None],
    began: float,
    expected: tuple[int, int] | None,
) -> None:
    """It goes after the last that did not begin later, else before the first of its agent.

    The other rows may belong to the same transaction.
    """
    session = await stage.start()
    if is_written:
        await tell(session, rows)
        key = (await tell(session, [began], places=False))[0]
    else:
        key = (await tell(session, rows, [began]))[-1]

    sort_key = {row.key: row.sort_key for row in await stage.rows(session)}[key]

    low, high = expected or (len(rows) - 1, len(rows) + 2)
    assert key_of(low) < sort_key < key_of(high)


async def tell(
    session: Session, rows: Sequence[float | None], more: Sequence[float] = (), places: bool = True
) -> list[str]:
    """Write these in one transaction, the first ones at the places 0, 1 and so on."""
    keys = []

    async def work(conn: Connection) -> None:
        transaction = Transaction(conn, START + timedelta(days=1))
        edit = await transaction.edit(session.id)
        assert edit is not None
        for index, began in enumerate([*rows, *more]):
            keys.append(f"{'row' if places else 'new'}-{index}")
            claim = UtteranceChange(
                key=keys[-1],
                role=Role.USER,
                source=UtteranceSource.SPEECH if began else UtteranceSource.CLIENT_REPORTED,
                text="x",
                is_final=True,
                started_at=START + timedelta(seconds=began or 3),
                attempt=1 if began else None,
                agent_revision=1 if began else None,
            )
            has_place = places and index < len(rows)
            await edit.merge(claim, key_of(index) if has_place else None)
        await transaction.write()

    await transact(work)
    return keys


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_times_gives_the_places_of_the_rule(
    stage: Stage, seed: int, is_together: bool
) -> None:
    """This includes equal times and fractions of seconds, committed singly or together."""
    chance = random.Random(seed)
    session, agent = await stage.talk()
    began_of: dict[str, float | None] = {}
    waiting = []
    order: list[str] = []
    for index in range(30):
        text = f"Line {index}."
        is_typed = not is_together and chance.random() < 0.2
        began = None if is_typed else chance.choice([-4, -3.5, -3, -2.25, -1])
        began_of[text] = began
        order.insert(place(order, began_of, began), text)
        if began is None:
            await stage.type(session, text)
        elif is_together:
            waiting.append(agent.report(text, f"SG_{index}", began=began, final=True))
        else:
            await agent.say(text, f"SG_{index}", began=began)
    await asyncio.gather(*waiting)

    assert await stage.texts(session) == order


def place(order: list[str], began_of: dict[str, float | None], began: float | None) -> int:
    """Return the index at which the rule inserts an utterance that began then."""
    mine = [(at, time) for at, text in enumerate(order) if (time := began_of[text]) is not None]
    if began is None or not mine:
        return len(order)
    earlier = [at for at, time in mine if time <= began]
    if not earlier:
        return mine[0][0]
    return len(order) if earlier[-1] == mine[-1][0] else earlier[-1] + 1


@pytest.mark.sqlite
@pytest.mark.parametrize("began", [198.5, 100.5, 0.5])
async def test_a_late_segment_reads_few_rows(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, began: float
) -> None:
    """The number is bounded however long the session, as other sessions share the transaction."""
    session = await stage.start()
    await tell(session, [float(index) for index in range(1, 200)])
    read = 0
    original = client._Transaction.execute_query

    async def counted(self: Any, query: str, values: Any = None) -> Any:
        nonlocal read
        found = await original(self, query, values)
        read += len(found[1])
        return found

    async def counted_dicts(self: Any, query: str, values: Any = None) -> Any:
        return list(map(dict, (await counted(self, query, values))[1]))

    monkeypatch.setattr(client._Transaction, "execute_query", counted)
    monkeypatch.setattr(client._Transaction, "execute_query_dict", counted_dicts)
    await tell(session, [began], places=False)

    assert 0 < read < 10
