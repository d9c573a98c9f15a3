"""Whole conversations with the shipped agent as a worker, over the real `/bridge` and `/audio`."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jiwer
import numpy as np
import pytest

from agent.answers import Responder
from agent.conversation import Minds
from agent.process import serve
from agent.speech.recogniser import LocalRecogniser
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE
from agent_bridge.server.workers import NoFreePlace
from tests.speech.recordings import cards, plain, sentences, silence
from tests.voice.hearing.test_recognition import final_text, recognise, resampled
from tests.voice.made_speech import WORD_S, spoken, words_in
from tests.voice.person import Reply, person
from tests.voice.server import KEY, Notes, Server

pytestmark = pytest.mark.sample_clock


@asynccontextmanager
async def attended(server: Server, minds: Minds) -> AsyncIterator[None]:
    """Run the shipped agent as the server's worker, with three places."""
    agent = asyncio.create_task(serve(server.url, KEY, ["voxql"], minds, places=3))
    try:
        await server.worker_came()
        yield
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)


async def begun(server: Server, session: str = "ses_a") -> Notes:
    """Start the agent in a session, and wait until it is ready."""
    notes = server.notebook.of(session)
    server.start_agent(session)
    await server.notebook.until(lambda: notes.is_ready)
    return notes


async def replied(server: Server, notes: Notes, count: int = 1) -> None:
    await server.notebook.until(lambda: len(notes.finals("AGENT")) >= count, 25)


async def understood(recogniser: LocalRecogniser, sound: bytes) -> str:
    """Return what the recogniser hears in a reply."""
    events = await recognise(recogniser, np.concatenate([resampled(sound), silence(1)]))
    return final_text(events)


async def test_real_speech_is_reported_answered_and_stops_a_reply(
    server: Server, minds: Minds, recogniser: LocalRecogniser
) -> None:
    """Speech is transcribed soon after the voice, and a reply's text is the part that was heard."""
    clip = sentences()[1]
    async with attended(server, minds), person(server.url, server.person_token("ses_a")) as someone:
        notes = await begun(server)
        began = await someone.speak(clip.pcm)
        await replied(server, notes)
        reply = someone.replies[0]
        await someone.until(lambda: reply.samples == reply.played)
        (said,), (answer,) = notes.finals("USER"), notes.finals("AGENT")
        assert jiwer.wer(clip.words, plain(said.text)) <= 0.3
        assert len({interim.text for interim in notes.interims(said.segment)}) >= 3
        ended = began + clip.voice_ends
        assert notes.when(said) - ended == pytest.approx(0.32, abs=0.1)
        assert reply.began_at - ended == pytest.approx(0.7, abs=0.15)
        assert not answer.interrupted
        heard = await understood(recogniser, bytes(reply.sound))
        assert jiwer.wer(plain(answer.text), heard) <= 0.2

        await someone.speak(clip.pcm)
        await someone.until(lambda: len(someone.replies) > 1 and someone.replies[1].played > 36_000)
        began = await someone.speak(cards()[2].pcm, 0.5)
        await replied(server, notes, 2)
        cut, answer = someone.replies[1], notes.finals("AGENT")[1]
        assert cut.cleared_at is not None
        assert cut.cleared_at - began == pytest.approx(0.3, abs=0.15)
        assert answer.interrupted
        heard = await understood(recogniser, cut.heard().tobytes())
        assert len(heard.split()) >= 3
        assert abs(len(plain(answer.text).split()) - len(heard.split())) <= 1


async def test_three_people_talk_at_once_and_the_fourth_is_refused(
    server: Server, made: Minds
) -> None:
    """Each has their own words in text and voice, without extra delay or gaps."""
    async with attended(server, made):
        sessions = ["ses_1", "ses_2", "ses_3"]
        all_notes = [await begun(server, session) for session in sessions]
        with pytest.raises(NoFreePlace):
            server.start_agent("ses_4")

        async def talk(session: str, notes: Notes) -> Reply:
            said = f"repeat after me my word is {session}"
            async with person(server.url, server.person_token(session)) as someone:
                began = await someone.speak(spoken(said))
                await replied(server, notes)
                (final,) = notes.finals("USER")
                assert final.text == said
                ended = began + WORD_S * len(said.split())
                assert notes.when(final) - ended == pytest.approx(0.24, abs=0.03)
                reply = someone.replies[0]
                await someone.until(lambda: reply.samples == reply.played)
                # Replies play in real time from their first sound on; a stutter would lengthen
                # them.
                length = (reply.samples or 0) / OUTPUT_SAMPLE_RATE
                assert time.monotonic() - reply.began_at == pytest.approx(length, abs=0.1)
                return reply

        replies = await asyncio.gather(*map(talk, sessions, all_notes))
        assert [words_in(reply.heard(), OUTPUT_SAMPLE_RATE) for reply in replies] == [
            f"My word is {session}." for session in sessions
        ]


async def test_what_was_said_before_the_agent_came_is_heard(server: Server, made: Minds) -> None:
    """The server keeps earlier sound, and the agent takes it all at once."""
    async with attended(server, made), person(server.url, server.person_token("ses_a")) as someone:
        await someone.speak(spoken("nobody is here yet"), 0.5)
        notes = await begun(server)
        await replied(server, notes)
    assert [said.text for said in notes.finals("USER")] == ["nobody is here yet"]


async def test_an_agent_that_is_cancelled_hands_in_what_it_has(server: Server, made: Minds) -> None:
    """An agent that is cancelled in mid-sentence reports what it has."""
    async with person(server.url, server.person_token("ses_a")) as someone:
        async with attended(server, made):
            notes = await begun(server)
            speaking = asyncio.create_task(someone.speak(spoken("one and two and three and four")))
            await server.notebook.until(lambda: len(notes.utterances) >= 2)
        speaking.cancel()
    assert len(notes.finals("USER")) == 1
    assert notes.byes == ["RESTARTING"]


async def test_without_speech_packages_it_still_answers_in_writing(server: Server) -> None:
    """Typed conversation needs neither recogniser nor voice."""
    async with attended(server, Minds(Responder(), None, None)):
        notes = await begun(server)
        async with person(server.url, server.person_token("ses_a")) as someone:
            await someone.speak(spoken("can you hear me"), 0)
            server.type("ses_a", "line-1", "What is two plus two?")
            await replied(server, notes)
    assert notes.finals("AGENT")[0].text == "That's 4."
    assert notes.finals("USER") == []
    assert someone.replies == []
