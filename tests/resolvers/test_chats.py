"""Starting and joining conversations, retrying agents, and typing."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from agent_bridge.protocol import Input as Line
from agent_bridge.server.workers import NoFreePlace, NoWorker
from hub.events import Fence, Input, Stop
from models import EndReason, SessionStatus, UtteranceSource
from resolvers.backend import Backend
from resolvers.idempotency import KEPT_FOR
from resolvers.refusals import (
    AgentUnavailable,
    BadUserInput,
    Conflict,
    Forbidden,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
)
from resolvers.sessions import chats, manage
from resolvers.sessions.chats import Previous
from resolvers.sessions.saving import save_session
from resolvers.viewer import TokenScope
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, message, staged, taken

UNKNOWN = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"


# ---------------------------------------------------------------------- startNewChat


async def test_a_new_chat_asks_for_an_agent_and_gives_a_way_in(stage: Stage) -> None:
    """The session is STARTING, a worker is asked for attempt 1, and the user gets a token."""
    started = await chats.start_new_chat(stage.backend, stage.viewer)

    assert started.saved is None
    assert started.session.status is SessionStatus.STARTING
    assert started.session.title == "New Conversation"
    assert started.session.agent_name == "voxql"
    assert started.session.version == 1
    [request] = stage.agents.asked
    assert (request.session, request.attempt) == (started.session.id, 1)
    assert (
        stage.backend.tokens.read_bridge(request.bridge_token)
        == stage.talker(started.session).binding
    )
    assert started.connection is not None
    grant = stage.backend.tokens.read_media(started.connection.token)
    assert (grant.session, grant.role) == (started.session.id, "person")
    assert started.connection.url == "ws://127.0.0.1:8000/audio"


async def test_every_chat_has_a_room_of_its_own(stage: Stage) -> None:
    """A room's name is never reused."""
    first, second = await stage.start(), await stage.start()

    assert first.room_name != second.room_name


async def test_the_previous_conversation_is_saved_first(stage: Stage) -> None:
    """One request merges and ends it, stops its agent, and starts the next conversation."""
    session, agent = await stage.talk()
    await agent.say("hello there")

    async with stage.commands(session) as commands:
        started = await chats.start_new_chat(
            stage.backend,
            stage.viewer,
            previous=Previous(session.id, [message("SG_1", "hello there"), message("extra")]),
            title="  Next  ",
            agent_name="other",
        )

        assert Stop("SAVED") in taken(commands)
    assert started.saved is not None
    assert started.saved.is_saved
    assert started.saved.created_count == 1
    assert started.saved.conflicts == []
    assert started.session.title == "Next"
    assert stage.agents.asked[-1].agent_name == "other"
    previous = await stage.read(session)
    assert previous.status is SessionStatus.ENDING
    assert previous.end_reason is EndReason.SAVED
    assert await stage.texts(session) == ["hello there", "extra"]


async def test_a_deleted_previous_is_no_error(stage: Stage) -> None:
    """The user wanted it gone: the next conversation starts, and `saved` is null."""
    session = await stage.start()
    await manage.delete_session(stage.backend, stage.viewer, session.id)

    started = await chats.start_new_chat(
        stage.backend, stage.viewer, previous=Previous(session.id, [message("a")])
    )

    assert started.saved is None
    assert started.session.status is SessionStatus.STARTING
    assert await stage.rows(session) == []


async def test_a_refused_previous_starts_nothing(stage: Stage) -> None:
    """A bad session id or message is refused as in saveSession, and no agent is asked for."""
    session = await stage.start()
    other = await stage.somebody_else()
    theirs = (await chats.start_new_chat(stage.backend, other)).session
    asked = len(stage.agents.asked)

    async def begin(session_id: str, *messages: object) -> None:
        previous = Previous(session_id, list(messages))  # type: ignore[arg-type]
        await chats.start_new_chat(stage.backend, stage.viewer, previous=previous)

    async with refused(NotFound, ["previous", "sessionId"]):
        await begin(UNKNOWN)
    async with refused(Forbidden, ["previous", "sessionId"]):
        await begin(theirs.id)
    async with refused(BadUserInput, ["previous", "sessionId"]):
        await begin("nonsense")
    async with refused(BadUserInput, ["previous", "messages", 1, "text"]):
        await begin(session.id, message("a"), message("b", " "))

    assert len(stage.agents.asked) == asked


async def test_a_deleted_conversation_of_somebody_else_stays_unknown(stage: Stage) -> None:
    """Only the viewer's own tombstones count as deleted."""
    other = await stage.somebody_else()
    theirs = (await chats.start_new_chat(stage.backend, other)).session
    await manage.delete_session(stage.backend, other, theirs.id)

    async with refused(NotFound, ["previous", "sessionId"]):
        await chats.start_new_chat(stage.backend, stage.viewer, previous=Previous(theirs.id, []))


async def test_an_agent_nobody_has_is_refused(stage: Stage) -> None:
    """It is refused before anything is written, including the previous conversation."""
    session = await stage.start()

    async with refused(BadUserInput, ["agentName"], "no agent called"):
        await chats.start_new_chat(
            stage.backend,
            stage.viewer,
            previous=Previous(session.id, [message("a")]),
            agent_name="nobody",
        )


@pytest.mark.parametrize("refusal", [NoWorker("none is connected"), NoFreePlace("all are busy")])
async def test_without_an_agent_the_chat_is_returned_failed(
    stage: Stage, refusal: Exception
) -> None:
    """It is FAILED with AGENT_UNAVAILABLE and no connection; the previous one is saved."""
    session, agent = await stage.talk()
    await agent.say("hello")
    stage.agents.refusal = refusal

    started = await chats.start_new_chat(
        stage.backend, stage.viewer, previous=Previous(session.id, [])
    )

    assert started.session.status is SessionStatus.FAILED
    assert started.session.failure_code == "AGENT_UNAVAILABLE"
    assert started.session.failure_message == str(refusal)
    assert started.connection is None
    assert started.saved is not None
    assert started.saved.is_saved
    assert (await stage.read(session)).end_reason is EndReason.SAVED


async def test_only_so_many_conversations_run_at_once(backend: Backend, clock: Clock) -> None:
    """One more is QUOTA_EXCEEDED and changes nothing; ending a session makes room."""
    async with staged(backend, clock, running_sessions=2) as stage:
        first = await stage.start()
        await stage.start()
        async with refused(QuotaExceeded, None, "End one"):
            await stage.start()

        await manage.delete_session(backend, stage.viewer, first.id)

        assert (await stage.start()).status is SessionStatus.STARTING


async def test_the_conversation_that_ends_makes_room_for_the_next(
    backend: Backend, clock: Clock
) -> None:
    """New Chat works at the limit too, because the session it saves no longer counts."""
    async with staged(backend, clock, running_sessions=1) as stage:
        session, _ = await stage.talk()

        started = await chats.start_new_chat(
            backend, stage.viewer, previous=Previous(session.id, [message("a")])
        )

        assert started.session.status is SessionStatus.STARTING
        assert (await stage.read(session)).status is SessionStatus.ENDING


async def test_it_takes_a_signed_in_viewer_who_may_write(stage: Stage) -> None:
    """A signed-out viewer is UNAUTHENTICATED, a token without the scope is FORBIDDEN."""
    reading = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_READ}))

    async with refused(Unauthenticated):
        await chats.start_new_chat(stage.backend, None)
    async with refused(Forbidden):
        await chats.start_new_chat(stage.backend, reading)


# ---------------------------------------------------------------------- idempotency


async def test_the_same_key_gives_the_same_answer(stage: Stage) -> None:
    """Nothing is done twice; the session is returned as it is now, with a fresh token."""
    previous, agent = await stage.talk()
    await agent.say("what was heard")
    wish = {
        "previous": Previous(previous.id, [message("SG_1", "what was shown"), message("more")]),
        "title": "Next",
        "idempotency_key": "k1",
    }
    first = await chats.start_new_chat(stage.backend, stage.viewer, **wish)  # type: ignore[arg-type]
    await manage.rename_session(stage.backend, stage.viewer, first.session.id, "Renamed")
    before = await dump()

    second = await chats.start_new_chat(stage.backend, stage.viewer, **wish)  # type: ignore[arg-type]

    assert await dump() == before
    assert second.session.id == first.session.id
    assert second.session.title == "Renamed"
    assert first.connection is not None
    assert second.connection is not None
    assert second.connection.token != first.connection.token
    assert first.saved is not None
    assert second.saved is not None
    assert second.saved.created_count == first.saved.created_count == 1
    [conflict] = second.saved.conflicts
    assert (conflict.index, conflict.submitted_text) == (0, "what was shown")
    assert conflict.kept.text == "what was heard"
    assert len(stage.agents.asked) == 2


async def test_a_token_that_may_only_write_repeats_what_it_may_do(stage: Stage) -> None:
    """A token with only SESSIONS_WRITE gets the same answer when it repeats a request."""
    backend, previous = stage.backend, (await stage.talk())[0]
    writing = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_WRITE}))
    wish = {"previous": Previous(previous.id, [message("a")]), "idempotency_key": "k"}

    first, second = [
        await chats.start_new_chat(backend, writing, **wish)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert second.session.id == first.session.id
    assert second.saved is not None
    assert second.saved.created_count == 1

    running, _ = await stage.talk()
    for _ in range(2):
        await chats.join_session(backend, writing, running.id)
        await chats.send_message(backend, writing, running.id, "line", "a line")
    for _ in range(2):
        await save_session(backend, writing, running.id, [message("a")])
    assert await stage.texts(running) == ["a line", "a"]
    for _ in range(2):
        await stage.pass_by(5)
        await chats.retry_agent(backend, writing, first.session.id)


async def test_a_concurrent_duplicate_waits_for_the_first(stage: Stage) -> None:
    """A double click starts one conversation with one agent; all answers are about it."""
    answers = await asyncio.gather(
        *(
            chats.start_new_chat(stage.backend, stage.viewer, idempotency_key="double")
            for _ in range(5)
        )
    )

    assert len({answer.session.id for answer in answers}) == 1
    assert len(stage.agents.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Another"},
        {"agent_name": "other"},
        {"previous": Previous(UNKNOWN, [])},
    ],
)
async def test_the_same_key_with_another_input_is_a_conflict(
    stage: Stage, other: dict[str, object]
) -> None:
    """Any difference in the input counts."""
    await stage.start(title="One", idempotency_key="k")

    async with refused(Conflict, ["idempotencyKey"]):
        await stage.start(**{"title": "One", "idempotency_key": "k", **other})


async def test_keys_belong_to_their_viewer(stage: Stage) -> None:
    """The same key of another user is a different key."""
    mine = await stage.start(idempotency_key="k")
    other = await stage.somebody_else()

    theirs = await chats.start_new_chat(stage.backend, other, idempotency_key="k")

    assert theirs.session.id != mine.id


async def test_refusals_are_not_remembered(stage: Stage) -> None:
    """A refused request may be tried again with the same key."""
    previous = Previous(UNKNOWN, [])
    async with refused(NotFound, ["previous", "sessionId"]):
        await stage.start(previous=previous, idempotency_key="k")

    assert (await stage.start(title="Other", idempotency_key="k")).title == "Other"


async def test_a_key_is_free_again_after_a_day(stage: Stage) -> None:
    """The answer is the same for 24 hours; then the key starts another conversation."""
    first = await stage.start(idempotency_key="k")
    stage.clock.pass_by(seconds=KEPT_FOR.total_seconds() - 1)
    assert (await stage.start(idempotency_key="k")).id == first.id

    stage.clock.pass_by(seconds=1)

    assert (await stage.start(title="Other", idempotency_key="k")).id != first.id


async def test_what_was_deleted_since_is_not_told_again(stage: Stage) -> None:
    """A repeated answer has `saved` null, or is NOT_FOUND if the new session was deleted."""
    previous = await stage.start()
    wish = {"previous": Previous(previous.id, [message("a")]), "idempotency_key": "k"}
    first = await stage.start(**wish)
    await manage.delete_session(stage.backend, stage.viewer, previous.id)

    again = await chats.start_new_chat(stage.backend, stage.viewer, **wish)  # type: ignore[arg-type]
    assert again.saved is None
    assert again.session.id == first.id

    await manage.delete_session(stage.backend, stage.viewer, first.id)
    async with refused(NotFound, ["idempotencyKey"]):
        await stage.start(**wish)


# ---------------------------------------------------------------------- joinSession, retryAgent


async def test_joining_gives_a_fresh_token(stage: Stage) -> None:
    """Joining works before and after the agent is ready."""
    session = await stage.start()
    first = await chats.join_session(stage.backend, stage.viewer, session.id)
    await stage.talker(session).come()

    second = await chats.join_session(stage.backend, stage.viewer, session.id)

    assert first.connection.token != second.connection.token
    assert second.session.status is SessionStatus.ACTIVE


async def test_what_does_not_run_is_not_joined(stage: Stage) -> None:
    """A failed or ended session is refused with advice on what to do instead."""
    stage.agents.refusal = NoWorker("none")
    failed = await stage.start()
    stage.agents.refusal = None
    ended = await stage.start()
    await chats.start_new_chat(stage.backend, stage.viewer, previous=Previous(ended.id, []))

    async with refused(AgentUnavailable, ["sessionId"], "retryAgent"):
        await chats.join_session(stage.backend, stage.viewer, failed.id)
    async with refused(Conflict, ["sessionId"], "startNewChat"):
        await chats.join_session(stage.backend, stage.viewer, ended.id)


async def test_a_failed_session_gets_another_attempt(stage: Stage) -> None:
    """It is STARTING again, attempt 2 is asked for, and attempt 1 is fenced."""
    stage.agents.refusal = NoWorker("none")
    session = await stage.start()
    stage.agents.refusal = None

    async with stage.commands(session) as commands:
        retried = await chats.retry_agent(stage.backend, stage.viewer, session.id)

        assert taken(commands) == [Fence(2)]
    assert retried.session.status is SessionStatus.STARTING
    assert retried.session.failure_code is None
    assert retried.connection is not None
    assert stage.agents.asked[-1].attempt == 2


async def test_a_retry_that_finds_nobody_fails_again(stage: Stage) -> None:
    """It is FAILED with AGENT_UNAVAILABLE and no connection; it may be retried."""
    stage.agents.refusal = NoFreePlace("all are busy")
    session = await stage.start()

    retried = await chats.retry_agent(stage.backend, stage.viewer, session.id)

    assert retried.session.status is SessionStatus.FAILED
    assert retried.session.failure_message == "all are busy"
    assert retried.connection is None
    assert retried.session.attempt == 2


async def test_an_active_session_is_retried_only_without_its_agent(stage: Stage) -> None:
    """With its agent it is a CONFLICT; after losing it there is another attempt."""
    session, agent = await stage.talk()
    async with refused(Conflict, ["sessionId"], "already here"):
        await chats.retry_agent(stage.backend, stage.viewer, session.id)

    await agent.lose()
    retried = await chats.retry_agent(stage.backend, stage.viewer, session.id)

    assert retried.session.status is SessionStatus.STARTING
    assert retried.session.attempt == 2


@pytest.mark.parametrize("is_starting", [True, False])
async def test_what_starts_or_has_ended_is_not_retried(stage: Stage, is_starting: bool) -> None:
    """It is a CONFLICT, and no agent is asked for."""
    session = await stage.start()
    if not is_starting:
        await stage.start(previous=Previous(session.id, []))
    asked = len(stage.agents.asked)

    async with refused(Conflict, ["sessionId"], "" if is_starting else "has ended"):
        await chats.retry_agent(stage.backend, stage.viewer, session.id)

    assert len(stage.agents.asked) == asked


async def test_two_retries_at_once_are_one(stage: Stage) -> None:
    """The second is a CONFLICT, because an agent is already on its way."""
    stage.agents.refusal = NoWorker("none")
    session = await stage.start()
    stage.agents.refusal = None

    answers = await asyncio.gather(
        *(chats.retry_agent(stage.backend, stage.viewer, session.id) for _ in range(2)),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [chats.Retried, Conflict]
    assert len(stage.agents.asked) == 1


# ---------------------------------------------------------------------- sendMessage


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


async def test_a_connection_is_good_for_a_quarter_of_an_hour(stage: Stage) -> None:
    """This is long enough to connect and too short to be worth stealing."""
    session = await stage.start()
    joined = await chats.join_session(stage.backend, stage.viewer, session.id)
    again = await chats.join_session(stage.backend, stage.viewer, session.id)

    assert again.connection.expires_at - joined.connection.expires_at < timedelta(seconds=60)
    assert stage.backend.tokens.read_media(joined.connection.token).expires_at == (
        joined.connection.expires_at
    )
