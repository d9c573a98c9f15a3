"""saveSession: the client's messages are merged with the server's (design, section 3)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent_bridge.protocol import Ack
from hub.events import Stop
from models.tables import EndReason, Role, Session, SessionStatus, UtteranceSource
from resolvers.limits import AHEAD, EARLIEST, MESSAGES, TEXT_BYTES
from resolvers.pages import Page
from resolvers.refusals import BadUserInput, Forbidden, NotFound, Unauthenticated
from resolvers.sessions import history, manage
from resolvers.sessions.saving import Message, Saved
from resolvers.viewer import TokenScope
from tests.dump import dump
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, message, taken

UNKNOWN = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"


async def save(stage: Stage, session: Session, *messages: Message) -> Saved:
    return await stage.backend.saving.save_session(stage.viewer, session.id, messages)


async def in_history(stage: Stage) -> list[str]:
    page = await history.session_history(stage.viewer, Page())
    return [entry.session.id for entry in page.items]


# ---------------------------------------------------------------------- rule 1: refusals


async def test_whose_session_it_is_decides(stage: Stage) -> None:
    """Callers that may not write, and unknown or deleted sessions, are refused unchanged."""
    session, agent = await stage.talk()
    await agent.say("hello")
    other = await stage.somebody_else()
    reading = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_READ}))
    gone = await stage.start()
    await manage.delete_session(stage.backend.transactions, stage.viewer, gone.id)
    backend, shown = stage.backend, [message("a")]

    async with refused(Unauthenticated):
        await backend.saving.save_session(None, session.id, shown)
    async with refused(Forbidden):
        await backend.saving.save_session(reading, session.id, shown)
    async with refused(NotFound, ["sessionId"]):
        await backend.saving.save_session(stage.viewer, UNKNOWN, shown)
    async with refused(NotFound, ["sessionId"]):
        await backend.saving.save_session(stage.viewer, gone.id, shown)
    async with refused(Forbidden, ["sessionId"]):
        await backend.saving.save_session(other, session.id, shown)
    async with refused(BadUserInput, ["sessionId"]):
        await backend.saving.save_session(stage.viewer, stage.viewer.user_id, shown)
    assert (await stage.read(session)).status is SessionStatus.ACTIVE


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n\t"}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"text": "half \ud83d"}, "text"),
        ({"text": "é" * (TEXT_BYTES // 2) + "x"}, "text"),
        ({"key": ""}, "key"),
        ({"key": "k" * 129}, "key"),
        ({"key": "a\nb"}, "key"),
        ({"key": "half \ud83d"}, "key"),
        ({"timestamp": EARLIEST - timedelta(microseconds=1)}, "timestamp"),
        ({"timestamp": datetime(9999, 12, 31, tzinfo=UTC)}, "timestamp"),
    ],
)
async def test_a_bad_message_is_named_by_its_index(
    stage: Stage, wrong: dict[str, object], name: str
) -> None:
    """No other message is saved either, and the conversation goes on."""
    session, _ = await stage.talk()
    bad = replace(message("bad"), **wrong)  # type: ignore[arg-type]

    async with refused(BadUserInput, ["messages", 2, name]):
        await save(stage, session, message("a"), message("b"), bad)


async def test_what_is_just_within_the_limits_is_kept(stage: Stage) -> None:
    """The longest text and key and the first and last moment are accepted."""
    session = await stage.start()
    shown = [
        message("k" * 128, "é" * (TEXT_BYTES // 2)),
        message("first", timestamp=EARLIEST),
        message("last", timestamp=stage.clock() + AHEAD),
    ]

    saved = await save(stage, session, *shown)

    assert saved.created_count == 3
    assert [row.started_at for row in await stage.rows(session)][1:] == [
        EARLIEST,
        stage.clock() + AHEAD,
    ]


async def test_two_messages_with_one_key_are_refused(stage: Stage) -> None:
    """The refusal names the second."""
    session = await stage.start()

    async with refused(BadUserInput, ["messages", 2, "key"]):
        await save(stage, session, message("a"), message("b"), message("a", "again"))


async def test_ten_thousand_messages_are_the_most(stage: Stage) -> None:
    """10,000 messages are saved at once; one more is refused."""
    session = await stage.start()
    many = [message(f"k{index}") for index in range(MESSAGES + 1)]
    async with refused(BadUserInput, ["messages"], "10,000"):
        await save(stage, session, *many)

    saved = await save(stage, session, *many[:-1])

    assert saved.created_count == MESSAGES
    row = await stage.read(session)
    assert (row.utterance_count, row.last_seq) == (MESSAGES, MESSAGES)
    assert [each.key for each in await stage.rows(session)] == [each.key for each in many[:-1]]


# ---------------------------------------------------------------------- rule 2: one transaction


async def test_saving_ends_the_conversation(stage: Stage) -> None:
    """Missed messages are created; the end, counts and preview are set."""
    session, agent = await stage.talk()
    await agent.say("hello", "SG_1")
    stage.clock.pass_by(seconds=30)

    saved = await save(
        stage, session, message("SG_1", "hello"), message("own", role=Role.AGENT, is_final=False)
    )

    assert (saved.is_saved, saved.created_count, saved.conflicts) == (True, 1, [])
    row = await stage.read(session)
    assert row.ended_at == stage.clock()
    assert row.end_reason is EndReason.SAVED
    assert row.status is SessionStatus.ENDING
    assert (row.utterance_count, row.preview, row.last_seq) == (2, "hello", 2)
    assert row.version == session.version + 2
    own = (await stage.rows(session))[1]
    assert (own.role, own.source, own.is_final) == (
        Role.AGENT,
        UtteranceSource.CLIENT_REPORTED,
        False,
    )
    assert vars(saved.session)["version"] == row.version


async def test_what_the_bridge_holds_is_flushed_first(stage: Stage) -> None:
    """Unwritten interims and uncommitted finals are stored before the messages are merged."""
    session, agent = await stage.talk()
    await agent.say("one", "SG_1", final=False)
    await agent.say("one two", "SG_1", final=False)
    final = agent.report("a final", "SG_2", final=True)

    saved = await save(stage, session, message("mine"), message("SG_2", "not this"))

    assert isinstance(await final, Ack)
    assert await stage.texts(session) == ["one two", "mine", "a final"]
    assert saved.created_count == 1
    [conflict] = saved.conflicts
    assert conflict.kept.text == "a final"


async def test_nothing_that_fails_leaves_a_trace(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fault inside the transaction nothing is written or published; a retry succeeds."""
    session, agent = await stage.talk()
    await agent.say("hello")
    watcher = await stage.watch(session)
    await watcher.caught_up()
    before = await dump()

    def broken(*_: object, **__: object) -> bool:
        raise OSError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr("resolvers.sessions.lifecycle.end", broken)
        with pytest.raises(OSError, match="a fault"):
            await save(stage, session, message("lost"))
    assert await dump() == before

    await save(stage, session, message("kept"))
    assert (await watcher.next()).utterances[0].text == "kept"


# ---------------------------------------------------------------------- rule 3: who wins a key


async def test_a_bridge_final_wins_over_the_client(stage: Stage) -> None:
    """The bridge's text and role stay; a differing text is reported as a conflict."""
    session, agent = await stage.talk()
    await agent.say("heard", "SG_1")

    saved = await save(
        stage,
        session,
        message("SG_1", "shown", role=Role.AGENT),
        message("new"),
    )

    [conflict] = saved.conflicts
    assert (conflict.index, conflict.submitted_text, conflict.kept.text) == (0, "shown", "heard")
    assert (await stage.rows(session))[0].role is Role.USER


async def test_a_clients_final_wins_over_a_bridge_interim(stage: Stage) -> None:
    """It stays until the bridge's own final replaces it."""
    session, agent = await stage.talk()
    await agent.say("hea", "SG_1", final=False)

    saved = await save(stage, session, message("SG_1", "heard by the client"))

    assert saved.conflicts == []
    [row] = await stage.rows(session)
    assert (row.text, row.is_final, row.source) == (
        "heard by the client",
        True,
        UtteranceSource.CLIENT_REPORTED,
    )
    await agent.say("heard by the agent", "SG_1")
    [row] = await stage.rows(session)
    assert (row.text, row.source) == ("heard by the agent", UtteranceSource.SPEECH)


async def test_a_clients_interim_loses_to_a_bridge_interim(stage: Stage) -> None:
    """It is reported as a conflict, because its text differs."""
    session, agent = await stage.talk()
    await agent.say("hea", "SG_1", final=False)

    saved = await save(stage, session, message("SG_1", "heard", is_final=False))

    assert [conflict.kept.text for conflict in saved.conflicts] == ["hea"]


async def test_among_a_clients_own_the_first_stays_unless_a_final_comes(stage: Stage) -> None:
    """A final replaces an interim; otherwise the first stays."""
    session = await stage.start()
    await save(stage, session, message("a", "first", is_final=False), message("b", "first"))

    second = await save(
        stage, session, message("a", "second", is_final=False), message("b", "second")
    )
    assert [conflict.kept.text for conflict in second.conflicts] == ["first", "first"]

    third = await save(stage, session, message("a", "third"), message("b", "x", is_final=False))
    assert [(each.index, each.kept.text) for each in third.conflicts] == [(1, "first")]
    assert [(row.text, row.is_final) for row in await stage.rows(session)] == [
        ("third", True),
        ("first", True),
    ]


async def test_a_typed_line_wins_over_the_client(stage: Stage) -> None:
    """It ranks as a final of the bridge."""
    session, _ = await stage.talk()
    await stage.type(session, "typed", key="k")

    saved = await save(stage, session, message("k", "shown"))

    assert [conflict.kept.text for conflict in saved.conflicts] == ["typed"]
    [row] = await stage.rows(session)
    assert row.source is UtteranceSource.TYPED


async def test_the_same_text_is_no_conflict(stage: Stage) -> None:
    """Only differing texts are reported."""
    session, agent = await stage.talk()
    await agent.say("heard", "SG_1")

    saved = await save(stage, session, message("SG_1", "heard", is_final=False))

    assert saved.conflicts == []


# ---------------------------------------------------------------------- rule 4: order


async def test_missed_messages_go_beside_their_neighbours(stage: Stage) -> None:
    """After the nearest known message to the left, else before the nearest to the right."""
    session, agent = await stage.talk()
    await agent.say("B", "B")
    await agent.say("D", "D")
    await agent.say("only here", "X")
    before = {row.key: row.sort_key for row in await stage.rows(session)}
    keys = ["A1", "A2", "B", "C1", "C2", "D", "E1"]

    await save(stage, session, *(message(key) for key in keys))

    rows = await stage.rows(session)
    assert [row.key for row in rows] == ["A1", "A2", "B", "C1", "C2", "D", "E1", "X"]
    assert {row.key: row.sort_key for row in rows if row.key in before} == before


async def test_one_place_takes_any_number_of_messages(stage: Stage) -> None:
    """300 saves insert after the first message; no row moves, and pages show each once."""
    session = await stage.start()
    await save(stage, session, message("first"), message("last"))
    for index in range(300):
        await save(stage, session, message("first"), message(f"n{index}"), message("last"))

    newest_first = [f"n{index}" for index in reversed(range(300))]
    rows = await stage.rows(session)
    assert [row.key for row in rows] == ["first", *newest_first, "last"]
    positions = [row.position for row in rows]
    assert positions == sorted(positions)
    paged: list[str] = []
    after = None
    while True:
        page = await history.session_utterances(stage.viewer, session, Page(first=7, after=after))
        paged += [row.key for row in page.items]
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert paged == [row.key for row in rows]


async def test_clocks_do_not_decide_the_order(stage: Stage) -> None:
    """Messages keep the order of the array even if their timestamps run backwards."""
    session = await stage.start()
    shown = [
        message(f"k{index}", timestamp=stage.clock() - timedelta(hours=index)) for index in range(5)
    ]

    await save(stage, session, *shown)

    assert await stage.texts(session) == [f"k{index}" for index in range(5)]


async def test_a_client_that_shows_another_order_moves_nothing(stage: Stage) -> None:
    """Rows the server knows keep their order, whatever the array says."""
    session, agent = await stage.talk()
    await agent.say("A", "A")
    await agent.say("B", "B")

    await save(stage, session, message("B"), message("n"), message("A"))

    assert await stage.texts(session) == ["A", "B", "n"]


async def test_messages_can_be_put_into_the_same_gap_very_often(stage: Stage) -> None:
    """Each insertion goes right after the same left neighbour, also when floats run out."""
    session, agent = await stage.talk()
    await agent.say("left", "left")
    await agent.say("right", "right")

    for turn in range(70):
        await save(stage, session, message("left"), message(f"{turn}-a"), message(f"{turn}-b"))

    keys = [row.key for row in await stage.rows(session)]
    assert (keys[0], keys[-1]) == ("left", "right")
    assert (await stage.read(session)).preview == "left"
    for turn in range(70):
        assert keys.index(f"{turn}-a") < keys.index(f"{turn}-b")


# ---------------------------------------------------------------------- rule 5: again


async def test_saving_twice_changes_nothing(stage: Stage) -> None:
    """The second save creates nothing and changes no column."""
    session, agent = await stage.talk()
    await agent.say("hello")
    shown = [message("a"), message("b", is_final=False)]
    await save(stage, session, *shown)
    stage.clock.pass_by(seconds=5)
    before = await dump()

    again = await save(stage, session, *shown)

    assert (again.is_saved, again.created_count, again.conflicts) == (True, 0, [])
    assert await dump() == before


async def test_two_clients_save_at_the_same_moment(stage: Stage) -> None:
    """Each message is created once, whichever save comes first."""
    session, _ = await stage.talk()
    first = [message("a"), message("b")]
    second = [message("b"), message("c")]

    answers = await asyncio.gather(save(stage, session, *first), save(stage, session, *second))

    assert sum(answer.created_count for answer in answers) == 3
    assert (await stage.read(session)).utterance_count == 3


@pytest.mark.parametrize("reason", ["AGENT_LEFT", "ABANDONED", "START_FAILED"])
async def test_saving_after_another_end_keeps_that_end(stage: Stage, reason: str) -> None:
    """Messages are added; status, endedAt and endReason stay."""
    session, agent = await stage.talk(with_person=reason != "ABANDONED")
    if reason == "AGENT_LEFT":
        await agent.bye()
    elif reason == "ABANDONED":
        await agent.bye("DRAINING")
        await stage.pass_by(60)
    else:
        session = await stage.start()
        await stage.pass_by(5)
        await stage.pass_by(60)
    ended = await stage.read(session)
    assert (ended.status, ended.end_reason) == (SessionStatus.ENDED, EndReason[reason])
    stage.clock.pass_by(seconds=100)

    saved = await save(stage, session, message("late"))

    assert saved.created_count == 1
    row = await stage.read(session)
    assert (row.status, row.ended_at, row.end_reason) == (
        ended.status,
        ended.ended_at,
        ended.end_reason,
    )
    assert await in_history(stage) == [session.id]


# ---------------------------------------------------------------------- rule 6: the end


async def test_the_agent_drains_then_the_session_ends(stage: Stage) -> None:
    """The session is ENDING until the agent's bye; its last words are kept."""
    session, agent = await stage.talk()
    async with stage.commands(session) as commands:
        await save(stage, session)
        assert taken(commands) == [Stop("SAVED")]
    assert isinstance(await agent.say("last words"), Ack)
    assert (await stage.read(session)).status is SessionStatus.ENDING

    await agent.bye()

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.SAVED)
    assert await stage.texts(session) == ["last words"]


async def test_without_an_agent_it_ends_at_once(stage: Stage) -> None:
    """There is nothing to wait for."""
    session = await stage.start()

    saved = await save(stage, session, message("a"))

    assert saved.session.status is SessionStatus.ENDED


async def test_an_agent_that_was_fenced_off_is_waited_for_until_its_bye(stage: Stage) -> None:
    """It may still hand in finals; the newer attempt has no agent yet."""
    session = await stage.start()
    slow = stage.talker(session)
    await slow.hello()
    await stage.pass_by(5)
    await stage.backend.chats.retry_agent(stage.viewer, session.id)

    saved = await save(stage, session)

    assert saved.session.status is SessionStatus.ENDING
    await slow.bye()
    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_the_grace_period_bounds_the_stream_not_the_storage(stage: Stage) -> None:
    """After ten seconds the session is ENDED though the agent is silent; a later final is kept."""
    session, agent = await stage.talk()
    await save(stage, session)
    await stage.pass_by(9.999)
    assert (await stage.read(session)).status is SessionStatus.ENDING
    await stage.pass_by(0.001)
    ended = await stage.read(session)
    assert ended.status is SessionStatus.ENDED

    assert isinstance(await agent.say("much too late"), Ack)

    row = await stage.read(session)
    assert (row.status, row.ended_at, row.utterance_count) == (
        SessionStatus.ENDED,
        ended.ended_at,
        1,
    )


# ---------------------------------------------------------------------- rule 7: nothing said


async def test_a_silent_conversation_ends_without_being_saved(stage: Stage) -> None:
    """This is no error, and it is not in the history until a late final arrives."""
    session, agent = await stage.talk()

    saved = await save(stage, session)

    assert (saved.is_saved, saved.created_count) == (False, 0)
    await agent.bye()
    assert await in_history(stage) == []
    await stage.talker(session, connection="con-2").say("late")
    assert await in_history(stage) == [session.id]
    assert (await save(stage, session)).is_saved
