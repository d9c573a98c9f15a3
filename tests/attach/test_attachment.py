"""An attachment between a session that a test plays and the bridge's real endpoint."""

import asyncio
import logging

import pytest

from agent_bridge.attaching import Attachment, attach
from agent_bridge.attaching import attachment as attachment_module
from hub.events import AgentCommanded, Gone
from tests.agent_bridge.serving import Recorder, serve
from tests.attach.conftest import SESSION, dispatch
from tests.attach.fakes import CloseReason, FakeContext, FakeRoom, FakeSession
from tests.voice.server import Server


def attached(
    server: Server, agent_state: str = "listening", room: FakeRoom | None = None
) -> tuple[FakeSession, FakeContext, Attachment]:
    session = FakeSession(agent_state)
    ctx = FakeContext(dispatch(server), room)
    attachment = attach(session, ctx)
    assert attachment is not None
    return session, ctx, attachment


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the attachment's log records; other code may log, too."""
    return [record for record in caplog.records if record.name == attachment_module.__name__]


async def test_both_sides_are_told_under_the_ids_of_the_room(server: Server) -> None:
    """Interims, finals, states and an interruption are reported under the room's segment ids."""
    session, ctx, attachment = attached(server, "initializing")
    notes = server.notebook.of(SESSION)
    session.state("listening")
    await server.notebook.until(lambda: notes.is_ready)
    session.heard("good")
    await ctx.room.show_person("SG_1", "good")
    session.heard("Good morning.", final=True, language="en", speaker_id=None)
    await ctx.room.show_person("SG_1", "Good morning.")
    await ctx.room.show_person("SG_1", "Good morning.", final=True)
    session.state("speaking")
    await ctx.room.show_agent("SG_2", "Hello ")
    await ctx.room.show_agent("SG_2", "there")
    session.replied("Hello there", interrupted=True)
    await ctx.room.end_agent("SG_2")
    session.state("listening")
    await server.notebook.until(lambda: notes.finals("AGENT"))

    (said,), (answer,) = notes.finals("USER"), notes.finals("AGENT")
    assert (said.segment, said.text, said.language) == ("SG_1", "Good morning.", "en")
    assert (answer.segment, answer.text, answer.interrupted) == ("SG_2", "Hello there", True)
    await attachment.aclose()
    assert [state for _, state in notes.states][-1] == "LISTENING"
    assert notes.byes == ["LEFT"]
    # The agent's text arrived in the room unchanged.
    assert ("SG_2", "Hello ") in ctx.room.participant.sent


async def test_nothing_of_the_agent_stays_changed_after_the_end(server: Server) -> None:
    """Closing removes the handlers and restores the participant's method."""
    session, ctx, attachment = attached(server)
    before = ctx.room.participant.stream_text
    await attachment.aclose()

    assert ctx.room.participant.stream_text != before
    assert "stream_text" not in vars(ctx.room.participant)
    session.heard("nobody listens", final=True)
    assert server.notebook.of(SESSION).utterances == []


async def test_what_was_being_said_at_the_end_is_settled(server: Server) -> None:
    """Open utterances of both sides become final as far as they were heard or said."""
    session, ctx, attachment = attached(server)
    notes = server.notebook.of(SESSION)
    session.heard("good mor")
    await ctx.room.show_person("SG_1", "good mor")
    await ctx.room.show_agent("SG_2", "Hello ")
    await server.notebook.until(lambda: len(notes.utterances) == 2)

    await attachment.aclose()

    assert [said.text for said in notes.finals("USER")] == ["good mor"]
    assert [said.text for said in notes.finals("AGENT")] == ["Hello"]


async def test_a_job_of_somebody_else_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A foreign job gets one log line, no handler, and no connection."""
    session, ctx = FakeSession(), FakeContext({"customer": 7})

    with caplog.at_level(logging.INFO, "agent_bridge"):
        assert attach(session, ctx) is None

    assert ["not started by VoxQL" in record.message for record in told(caplog)] == [True]
    assert ctx.callbacks == []


async def test_broken_metadata_does_not_end_the_agent(caplog: pytest.LogCaptureFixture) -> None:
    """Broken metadata is only logged as a warning."""
    assert attach(FakeSession(), FakeContext({"voxql": {"token": "secret"}})) is None

    assert [record.levelname for record in told(caplog)] == ["WARNING"]
    assert "secret" not in caplog.text


async def test_typed_lines_are_answered_once_the_session_runs(server: Server) -> None:
    """Typed lines interrupt, like livekit-agents' own chat; each is acknowledged once answered."""
    session, _, attachment = attached(server, "initializing")
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.states)
    server.type(SESSION, "line-1", "What time is it?")
    session.state("listening")
    await server.notebook.until(lambda: notes.is_ready)
    await session.was_asked(1)
    server.type(SESSION, "line-2", "And where?")
    await session.was_asked(2)
    assert session.asked == ["What time is it?", "And where?"]
    assert session.interruptions == 2
    assert notes.acknowledged == []

    session.answers[1].end()
    await server.notebook.until(lambda: notes.acknowledged)
    session.answers[0].end()
    await attachment.aclose()
    assert notes.acknowledged == ["line-2", "line-1"]


async def test_a_line_whose_answer_the_agents_end_cuts_off_is_left_to_the_next(
    server: Server,
) -> None:
    """Words that a closing session still reports do not count as a continuation."""
    session, ctx, _ = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    server.type(SESSION, "line-1", "Tell me a story.")
    await session.was_asked(1)
    session.state("speaking")

    session.answers[0].end(interrupted=True)
    session.state("listening")
    session.heard("mm", final=True)
    session.close(CloseReason.JOB_SHUTDOWN)
    await asyncio.gather(*(callback("") for callback in ctx.callbacks))

    assert notes.byes == ["DRAINING"]
    assert [said.text for said in notes.finals("USER")] == ["mm"]
    assert notes.acknowledged == []


@pytest.mark.parametrize("then", ["spoken over", "typed over"])
async def test_an_answer_that_the_person_interrupts_has_been_given(
    server: Server, then: str
) -> None:
    """The interrupted line is acknowledged once the agent turns to the next."""
    session, _, attachment = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    server.type(SESSION, "line-1", "Tell me a story.")
    await session.was_asked(1)
    session.state("speaking")
    session.answers[0].end(interrupted=True)
    if then == "spoken over":
        session.heard("Stop!", final=True)
        session.state("thinking")
    else:
        server.type(SESSION, "line-2", "Stop!")
    await server.notebook.until(lambda: notes.acknowledged == ["line-1"])
    await attachment.aclose()


async def test_stop_ends_the_session_and_the_job(server: Server) -> None:
    """The last words, which come with the close, are reported before the bye."""
    session, ctx, attachment = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    session.on("close", lambda _: session.replied("Good bye then."))
    server.stop(SESSION)
    await server.notebook.until(lambda: notes.byes)
    async with asyncio.timeout(30):
        while not ctx.ended:  # noqa: ASYNC110 - the fake has no event for it
            await asyncio.sleep(0.01)

    assert session.closed
    assert notes.byes == ["STOPPED"]
    assert [said.text for said in notes.finals("AGENT")] == ["Good bye then."]
    assert attachment.session_id == SESSION


@pytest.mark.parametrize(
    ("reason", "bye"),
    [
        (CloseReason.PARTICIPANT_DISCONNECTED, "DRAINING"),
        (CloseReason.ERROR, "DRAINING"),
        (CloseReason.JOB_SHUTDOWN, "DRAINING"),
        (CloseReason.USER_INITIATED, "LEFT"),
    ],
)
async def test_the_end_of_a_session_is_told_for_what_it_is(
    server: Server, reason: CloseReason, bye: str
) -> None:
    """Only an agent that hangs up ends the conversation."""
    session, _, _ = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    session.heard("half a sen")
    session.close(reason)
    await server.notebook.until(lambda: notes.byes)

    assert notes.byes == [bye]
    assert [said.text for said in notes.finals("USER")] == ["half a sen"]


@pytest.mark.parametrize(
    ("reason", "bye"),
    [("parent process shutdown", "DRAINING"), ("", "DRAINING"), ("customer hung up", "LEFT")],
)
async def test_the_end_of_a_job_waits_for_what_is_left(
    server: Server, reason: str, bye: str
) -> None:
    """Newer versions close the session first, as an agent itself would."""
    session, ctx, _ = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    session.close(CloseReason.USER_INITIATED)
    await asyncio.gather(*(callback(reason) for callback in ctx.callbacks))

    assert notes.byes == [bye]


async def test_a_deleted_conversation_ends_the_agent(server: Server) -> None:
    """GONE ends the session and the job."""
    session, ctx, _ = attached(server)
    notes = server.notebook.of(SESSION)
    await server.notebook.until(lambda: notes.is_ready)
    server.hub.emit(AgentCommanded(SESSION, Gone()))
    async with asyncio.timeout(30):
        while not ctx.ended:  # noqa: ASYNC110 - the fake has no event for it
            await asyncio.sleep(0.01)

    assert session.closed


async def test_a_token_that_is_refused_does_not_end_the_agent(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent keeps talking; the log says that VoxQL receives nothing."""
    session = FakeSession("listening")
    metadata = dispatch(server)
    metadata["voxql"]["token"] = "wrong"
    ctx = FakeContext(metadata)
    attachment = attach(session, ctx)
    assert attachment is not None
    await asyncio.wait({attachment._running}, timeout=30)

    assert not session.closed
    assert ctx.ended == []
    assert any(record.levelname == "ERROR" for record in caplog.records)


async def test_a_server_that_is_away_loses_nothing() -> None:
    """Finals and the newest interims said meanwhile arrive once the server is back."""
    session, room, handler = FakeSession("listening"), FakeRoom(), Recorder()
    async with serve() as first:
        member = {"url": first.url, "session": "ses_a", "attempt": 1, "token": first.token()}
        attachment = attach(session, FakeContext({"voxql": member}, room))
        assert attachment is not None
        await first.handler.saw("ready", 1)
    session.heard("while away", final=True)
    await room.show_person("SG_1", "while away")
    session.heard("still")
    await room.show_person("SG_2", "still")
    session.heard("still away")
    async with serve(handler, port=first.port):
        await handler.until(lambda: len(handler.utterances) >= 2)
        await attachment.aclose()

    assert [(said.segment, said.text) for said in handler.utterances[:2]] == [
        ("SG_1", "while away"),
        ("SG_2", "still away"),
    ]


async def test_a_room_that_connects_later_is_watched_from_then(server: Server) -> None:
    """attach() may be called before the room is connected."""
    room = FakeRoom(connected=False)
    session, _, attachment = attached(server, "initializing", room)
    room.connection(True)
    session.state("listening")
    session.heard("a", final=True)
    await room.show_person("SG_9", "a", final=True)
    await attachment.aclose()

    assert [said.segment for said in server.notebook.of(SESSION).finals("USER")] == ["SG_9"]


async def test_json_in_the_room_is_not_taken_for_words(server: Server) -> None:
    """Timed JSON, which agents can be configured to show, is decoded."""
    session, ctx, attachment = attached(server)
    await ctx.room.show_agent("SG_1", '{"text": "Hello ", "start_time": 0.1}\n')
    await ctx.room.show_agent("SG_1", '{"text": "there."}\n')
    session.replied("Hello there.")
    await attachment.aclose()

    assert [said.text for said in server.notebook.of(SESSION).finals("AGENT")] == ["Hello there."]
    interims = server.notebook.of(SESSION).interims("SG_1")
    assert all(not said.text.startswith("{") for said in interims)
