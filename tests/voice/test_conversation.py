"""Whole conversations with the shipped agent, synthetic speech and a line in memory."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from agent.conversation import Conversation, Minds
from agent_bridge.client.worker import StartJob
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE
from tests.voice.made_speech import WORD_S, spoken, words_in
from tests.voice.person import Person, Reply
from tests.voice.server import Server
from tests.voice.transports.memory_transport import Cable

pytestmark = pytest.mark.sample_clock
SENTENCE = "the garden behind the old station is full of yellow flowers"
SAID = f"repeat after me {SENTENCE}"
ANSWER = "The garden behind the old station is full of yellow flowers."
SESSION = "ses_a"


class Call:
    """A conversation with its agent."""

    def __init__(self, server: Server, minds: Minds, attempt: int = 1) -> None:
        self.server = server
        self.notes = server.notebook.of(SESSION)
        self.cable = Cable()
        token = server.tokens.bridge(SESSION, attempt)
        job = StartJob(server.url, SESSION, attempt, "voxql", token, "")
        self.agent = asyncio.create_task(Conversation(job, minds, self.cable.transport).run())

    async def replied(self, count: int = 1) -> None:
        await self.server.notebook.until(lambda: len(self.notes.finals("AGENT")) >= count, 25)

    async def end(self) -> None:
        """Cancel the agent, as its program does on exit."""
        self.agent.cancel()
        await asyncio.gather(self.agent, return_exceptions=True)

    def type(self, key: str, text: str) -> None:
        self.server.type(SESSION, key, text)

    def is_orderly(self) -> bool:
        """Return whether each utterance has one final, with nothing after it."""
        finals: dict[str, list[bool]] = {}
        for _, said in self.notes.utterances:
            finals.setdefault(said.segment, []).append(said.final)
        return all(final == sorted(final) and sum(final) == 1 for final in finals.values())


@pytest.fixture
async def call(server: Server, made: Minds) -> AsyncIterator[Call]:
    call = Call(server, made)
    await server.notebook.until(lambda: call.notes.is_ready)
    yield call
    await call.end()
    assert call.is_orderly(), call.notes.utterances


def heard(reply: Reply) -> str:
    """Return the words of a reply that were played."""
    return words_in(reply.heard(), OUTPUT_SAMPLE_RATE)


async def test_what_is_said_is_reported_and_answered(call: Call) -> None:
    """There are interims, a prompt final, and a spoken reply whose text is the words heard."""
    async with call.cable.person() as someone:
        began = await someone.speak(spoken(SAID))
        await call.replied()
        reply = someone.replies[0]
        await someone.until(lambda: reply.samples == reply.played)
        notes = call.notes
        await call.server.notebook.until(lambda: notes.states[-1][1] == "LISTENING")
    (said,), (answer,) = notes.finals("USER"), notes.finals("AGENT")
    seconds = WORD_S * len(SAID.split())
    assert said.text == SAID
    interims = [interim.text for interim in notes.interims(said.segment)]
    assert len(set(interims)) >= 5
    assert all(SAID.startswith(text) for text in interims)
    assert said.ended_at is not None
    assert (said.ended_at - said.started_at).total_seconds() == pytest.approx(seconds, abs=0.35)
    ended = began + seconds
    assert notes.when(said) - ended == pytest.approx(0.24, abs=0.03)
    assert reply.began_at - ended == pytest.approx(0.42, abs=0.05)
    assert (answer.text, answer.interrupted, answer.source) == (ANSWER, False, "SPEECH")
    growing = [interim.text for interim in notes.interims(answer.segment)]
    assert len(growing) == len(ANSWER.split())
    assert all(ANSWER.startswith(text) for text in growing)
    assert heard(reply) == ANSWER
    states = [state for _, state in notes.states]
    assert states.index("LISTENING") < states.index("THINKING") < states.index("SPEAKING")


async def interrupt(call: Call, someone: Person, after: float) -> float:
    """Ask for a long reply, and speak over it after this many seconds; return the start time."""
    await someone.speak(spoken("what can you do"), 0.1)
    enough = after * 2 * OUTPUT_SAMPLE_RATE
    await someone.until(lambda: someone.replies and len(someone.replies[0].sound) >= enough)
    began = await someone.speak(spoken("thank you"), 0.5)
    await call.replied()
    return began


async def test_speech_over_a_reply_stops_it(call: Call) -> None:
    """The first recognised word stops it; its text is what was played, not what was sent."""
    async with call.cable.person() as someone:
        began = await interrupt(call, someone, 2.0)
        reply = someone.replies[0]
        assert reply.cleared_at is not None
        assert reply.cleared_at - began == pytest.approx(0.16, abs=0.05)
        answer = call.notes.finals("AGENT")[0]
        assert answer.interrupted
        assert answer.text == heard(reply)
        assert len(answer.text.split()) >= 6
        sent = words_in(np.frombuffer(bytes(reply.sound), np.int16), OUTPUT_SAMPLE_RATE)
        assert sent.startswith(answer.text)
        assert len(sent.split()) > len(answer.text.split())
        await call.replied(2)
        thanks = call.notes.finals("AGENT")[1]
        assert (thanks.text, thanks.interrupted) == ("You're welcome.", False)


async def test_who_reports_nothing_is_taken_to_hear_in_real_time(call: Call) -> None:
    """Without reports, an interruption cuts the reply by the time since it began."""
    async with call.cable.person(reports=False) as someone:
        await interrupt(call, someone, 2.0)
        reply = someone.replies[0]
        assert reply.cleared_at is not None
        samples = round((reply.cleared_at - reply.began_at) * OUTPUT_SAMPLE_RATE)
    answer = call.notes.finals("AGENT")[0]
    assert answer.interrupted
    sounded = np.frombuffer(bytes(reply.sound[: 2 * samples]), np.int16)
    assert answer.text == words_in(sounded, OUTPUT_SAMPLE_RATE)
    assert len(answer.text.split()) >= 6


async def test_noise_over_a_reply_does_not_stop_it(call: Call) -> None:
    """Only words stop a reply."""
    async with call.cable.person() as someone:
        await someone.speak(spoken(SAID), 0.1)
        await someone.until(lambda: someone.replies and someone.replies[0].sound)
        rng = np.random.default_rng(3)
        await someone.speak((rng.normal(size=32_000) * 4_000).astype(np.int16), 0)
        await call.replied()
    assert [(said.text, said.interrupted) for said in call.notes.finals("AGENT")] == [
        (ANSWER, False)
    ]
    assert len(call.notes.finals("USER")) == 1


async def test_typed_lines_are_answered_in_writing_while_nobody_listens(call: Call) -> None:
    """Each key is answered once, and no utterance of the person is reported."""
    call.type("line-1", "What is twelve times seven?")
    call.type("line-1", "What is twelve times seven?")
    await call.replied()
    call.type("line-2", "Thank you.")
    await call.replied(2)
    await call.server.notebook.until(lambda: len(call.notes.acknowledged) >= 2)
    assert [(said.text, said.source) for said in call.notes.finals("AGENT")] == [
        ("That's 84.", "TYPED"),
        ("You're welcome.", "TYPED"),
    ]
    assert call.notes.finals("USER") == []
    assert set(call.notes.acknowledged) == {"line-1", "line-2"}


async def say_half(call: Call, someone: Person) -> "asyncio.Task[float]":
    """Begin a long sentence; return in the middle of it."""
    speaking = asyncio.create_task(someone.speak(spoken(SAID)))
    await call.server.notebook.until(lambda: len(call.notes.utterances) >= 3)
    assert call.notes.finals("USER") == []
    return speaking


def assert_half_is_kept(call: Call) -> None:
    (said,) = call.notes.finals("USER")
    newest = call.notes.interims(said.segment)[-1].text
    assert said.text.startswith(newest)
    assert SAID.startswith(said.text)
    assert said.text != SAID
    assert call.notes.finals("AGENT") == []


async def test_stop_keeps_what_was_heard_so_far(call: Call) -> None:
    """The interim becomes a final, the reply ends, and bye follows."""
    async with call.cable.person() as someone:
        speaking = await say_half(call, someone)
        call.server.stop(SESSION)
        await call.server.notebook.until(lambda: call.notes.byes)
        speaking.cancel()
    assert_half_is_kept(call)
    assert call.notes.byes == ["STOPPED"]


async def test_an_agent_that_is_cancelled_hands_in_what_it_has(call: Call) -> None:
    """An agent that is cancelled in mid-sentence reports what it has."""
    async with call.cable.person() as someone:
        speaking = await say_half(call, someone)
        await call.end()
        speaking.cancel()
    assert_half_is_kept(call)
    assert call.notes.byes == ["RESTARTING"]


async def test_what_was_said_before_the_agent_came_is_heard(server: Server, made: Minds) -> None:
    """The line keeps earlier sound, and the agent takes it all at once."""
    call = Call(server, made)
    async with call.cable.person() as someone:
        for start in range(0, len(spoken(SAID)), 320):
            await someone.socket.send(spoken(SAID)[start : start + 320].tobytes())
        await call.replied()
    await call.end()
    assert [said.text for said in call.notes.finals("USER")] == [SAID]


async def test_a_person_who_leaves_hears_no_more(call: Call) -> None:
    """The reply is cut where its listener left; typed lines work at once."""
    async with call.cable.person() as someone:
        await someone.speak(spoken(SAID), 0.1)
        await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
    await call.replied()
    cut = call.notes.finals("AGENT")[0]
    assert cut.interrupted
    assert heard(someone.replies[0]).startswith(cut.text)
    call.type("line-1", "Thank you.")
    await call.replied(2)
    assert call.notes.finals("AGENT")[1].source == "TYPED"
