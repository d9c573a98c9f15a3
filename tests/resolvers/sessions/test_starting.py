"""Starting a conversation: all of it or nothing, and once under each idempotency key."""

import asyncio
from dataclasses import replace

import pytest

from agent_bridge.server.workers import NoFreePlace, NoWorker
from hub.events import Stop
from models.tables import EndReason, SessionStatus
from resolvers.backend import Backend
from resolvers.idempotency import KEPT_FOR
from resolvers.refusals import (
    BadUserInput,
    Conflict,
    Forbidden,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
)
from resolvers.sessions import joining, manage, sending
from resolvers.sessions.starting import Previous
from resolvers.viewer import TokenScope
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, message, staged, taken

UNKNOWN = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"


# ---------------------------------------------------------------------- startNewChat


async def test_a_new_chat_asks_for_an_agent_and_gives_a_way_in(stage: Stage) -> None:
    """The session is STARTING, a worker is asked for attempt 1, and the user gets a token."""
    started = await stage.backend.chats.start_new_chat(stage.viewer)

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
        started = await stage.backend.chats.start_new_chat(
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
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    started = await stage.backend.chats.start_new_chat(
        stage.viewer, previous=Previous(session.id, [message("a")])
    )

    assert started.saved is None
    assert started.session.status is SessionStatus.STARTING
    assert await stage.rows(session) == []


async def test_a_refused_previous_starts_nothing(stage: Stage) -> None:
    """A bad session id or message is refused as in saveSession, and no agent is asked for."""
    session = await stage.start()
    other = await stage.somebody_else()
    theirs = (await stage.backend.chats.start_new_chat(other)).session
    asked = len(stage.agents.asked)

    async def begin(session_id: str, *messages: object) -> None:
        previous = Previous(session_id, list(messages))  # type: ignore[arg-type]
        await stage.backend.chats.start_new_chat(stage.viewer, previous=previous)

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
    theirs = (await stage.backend.chats.start_new_chat(other)).session
    await manage.delete_session(stage.backend.transactions, other, theirs.id)

    async with refused(NotFound, ["previous", "sessionId"]):
        await stage.backend.chats.start_new_chat(stage.viewer, previous=Previous(theirs.id, []))


async def test_an_agent_nobody_has_is_refused(stage: Stage) -> None:
    """It is refused before anything is written, including the previous conversation."""
    session = await stage.start()

    async with refused(BadUserInput, ["agentName"], "no agent called"):
        await stage.backend.chats.start_new_chat(
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

    started = await stage.backend.chats.start_new_chat(
        stage.viewer, previous=Previous(session.id, [])
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

        await manage.delete_session(backend.transactions, stage.viewer, first.id)

        assert (await stage.start()).status is SessionStatus.STARTING


async def test_the_conversation_that_ends_makes_room_for_the_next(
    backend: Backend, clock: Clock
) -> None:
    """New Chat works at the limit too, because the session it saves no longer counts."""
    async with staged(backend, clock, running_sessions=1) as stage:
        session, _ = await stage.talk()

        started = await backend.chats.start_new_chat(
            stage.viewer, previous=Previous(session.id, [message("a")])
        )

        assert started.session.status is SessionStatus.STARTING
        assert (await stage.read(session)).status is SessionStatus.ENDING


async def test_it_takes_a_signed_in_viewer_who_may_write(stage: Stage) -> None:
    """A signed-out viewer is UNAUTHENTICATED, a token without the scope is FORBIDDEN."""
    reading = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_READ}))

    async with refused(Unauthenticated):
        await stage.backend.chats.start_new_chat(None)
    async with refused(Forbidden):
        await stage.backend.chats.start_new_chat(reading)


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
    first = await stage.backend.chats.start_new_chat(stage.viewer, **wish)  # type: ignore[arg-type]
    await manage.rename_session(
        stage.backend.transactions, stage.viewer, first.session.id, "Renamed"
    )
    before = await dump()

    second = await stage.backend.chats.start_new_chat(stage.viewer, **wish)  # type: ignore[arg-type]

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
        await backend.chats.start_new_chat(writing, **wish)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert second.session.id == first.session.id
    assert second.saved is not None
    assert second.saved.created_count == 1

    running, _ = await stage.talk()
    for _ in range(2):
        await joining.join_session(backend.media, writing, running.id)
        await sending.send_message(
            backend.transactions, backend.config, writing, running.id, "line", "a line"
        )
    for _ in range(2):
        await backend.saving.save_session(writing, running.id, [message("a")])
    assert await stage.texts(running) == ["a line", "a"]
    for _ in range(2):
        await stage.pass_by(5)
        await backend.chats.retry_agent(writing, first.session.id)


async def test_a_concurrent_duplicate_waits_for_the_first(stage: Stage) -> None:
    """A double click starts one conversation with one agent; all answers are about it."""
    answers = await asyncio.gather(
        *(
            stage.backend.chats.start_new_chat(stage.viewer, idempotency_key="double")
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

    theirs = await stage.backend.chats.start_new_chat(other, idempotency_key="k")

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
    await manage.delete_session(stage.backend.transactions, stage.viewer, previous.id)

    again = await stage.backend.chats.start_new_chat(stage.viewer, **wish)  # type: ignore[arg-type]
    assert again.saved is None
    assert again.session.id == first.id

    await manage.delete_session(stage.backend.transactions, stage.viewer, first.id)
    async with refused(NotFound, ["idempotencyKey"]):
        await stage.start(**wish)
