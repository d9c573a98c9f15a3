"""The shipped agent in whole conversations, through the real endpoints."""

import asyncio
import time

import jiwer
import numpy as np
import pytest

from agent_bridge.agent.answers import Responder
from agent_bridge.agent.conversation import Minds
from agent_bridge.agent.process import serve
from agent_bridge.agent.speech.recogniser import LocalRecogniser
from agent_bridge.workers import NoFreePlace
from tests.speech import cards, plain, sentences, silence
from tests.voice.person import Person, person
from tests.voice.server import KEY, Notes, Server
from tests.voice.test_recognition import final_text, recognise, resampled

pytestmark = pytest.mark.sample_clock
CLIP = sentences()[1]
LONG = sentences()[0]


async def begun(server: Server, session: str = "ses_a") -> Notes:
    """Start the agent in a session, and wait until it is there."""
    notes = server.notebook.of(session)
    server.start_agent(session)
    await server.notebook.until(lambda: notes.is_ready)
    return notes


async def replied(server: Server, notes: Notes, count: int = 1) -> None:
    await server.notebook.until(lambda: len(notes.finals("AGENT")) >= count, 25)


def has_begun(notes: Notes) -> bool:
    """Whether a few words of an unfinished sentence of the person's have been reported."""
    return any(
        said.role == "USER" and not said.final and len(plain(said.text)) >= 10
        for _, said in notes.utterances
    )


async def test_what_is_said_is_reported_and_answered(
    attended: Server, recogniser: LocalRecogniser, slowness: float
) -> None:
    """Interims, a final soon after the voice, a spoken reply whose text is what is heard in it."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        began = await someone.speak(CLIP.pcm)
        await replied(attended, notes)
        reply = someone.replies[0]
        await someone.until(lambda: reply.samples == reply.played)
    (said,) = notes.finals("USER")
    (answer,) = notes.finals("AGENT")
    assert jiwer.wer(CLIP.words, plain(said.text)) <= 0.3
    assert len({interim.text for interim in notes.interims(said.segment)}) >= 3
    assert said.ended_at is not None
    assert 2 < (said.ended_at - said.started_at).total_seconds() < CLIP.seconds + 1
    ended = began + CLIP.voice_ends
    # 0.3 s and 0.6 to 0.8 s on a quiet machine.
    assert notes.when(said) - ended < 0.7 * slowness
    assert reply.began_at - ended < 1.2 * slowness
    assert (answer.interrupted, answer.source, answer.role) == (False, "SPEECH", "AGENT")
    growing = [interim.text for interim in notes.interims(answer.segment)]
    assert len(growing) >= 3
    assert all(answer.text.startswith(text) for text in growing)
    heard = await recognise(
        recogniser, np.concatenate([resampled(bytes(reply.sound)), silence(1)]), speed=2
    )
    assert jiwer.wer(plain(answer.text), final_text(heard)) <= 0.2
    states = [state for _, state in notes.states]
    assert states.index("LISTENING") < states.index("THINKING") < states.index("SPEAKING")
    assert states[-1] == "LISTENING"


async def interrupted(
    server: Server, someone: Person, notes: Notes, after: float
) -> tuple[float, int]:
    """Speak, let the reply be heard for so many seconds, speak over it; return when that began."""
    await someone.speak(LONG.pcm, 0.1)
    await someone.until(
        lambda: someone.replies and len(someone.replies[0].sound) >= after * 48_000, 20
    )
    began = await someone.speak(cards()[2].pcm, 0.5)
    await replied(server, notes)
    return began, len(someone.replies)


async def test_speech_over_a_reply_stops_it(
    attended: Server, recogniser: LocalRecogniser, slowness: float
) -> None:
    """Within half a second; the text is a proper prefix, and what is heard in what was played."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        began, _ = await interrupted(attended, someone, notes, 2.0)
        reply = someone.replies[0]
        assert reply.cleared_at is not None
        # 0.3 s on a quiet machine.
        assert reply.cleared_at - began < 0.5 * slowness
        answer = notes.finals("AGENT")[0]
        assert answer.interrupted
        assert answer.text
        assert reply.played < len(reply.sound) // 2
        heard = await recognise(
            recogniser, np.concatenate([resampled(reply.heard().tobytes()), silence(1)]), speed=2
        )
        words = plain(answer.text).split()
        assert abs(len(words) - len(final_text(heard).split())) <= 1
        assert not any(
            said.segment == answer.segment and at > notes.when(answer)
            for at, said in notes.utterances
        )
        await replied(attended, notes, 2)
        assert not notes.finals("AGENT")[1].interrupted


async def test_who_reports_nothing_is_taken_to_hear_in_real_time(
    attended: Server, recogniser: LocalRecogniser
) -> None:
    """An interruption is cut by the clock then: at what has sounded since the reply began."""
    notes = await begun(attended)
    token = attended.person_token("ses_a")
    async with person(attended.url, token, reports=False) as someone:
        await interrupted(attended, someone, notes, 2.0)
        answer = notes.finals("AGENT")[0]
        assert answer.interrupted
        reply = someone.replies[0]
        assert reply.cleared_at is not None
        sounded = reply.sound[: 2 * int((reply.cleared_at - reply.began_at) * 24_000)]
    heard = await recognise(
        recogniser, np.concatenate([resampled(bytes(sounded)), silence(1)]), speed=2
    )
    words = final_text(heard).split()
    assert len(words) >= 2
    assert abs(len(answer.text.split()) - len(words)) <= 1


async def test_noise_over_a_reply_does_not_stop_it(attended: Server) -> None:
    """Only words do."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        await someone.speak(CLIP.pcm, 0.1)
        await someone.until(lambda: someone.replies and someone.replies[0].sound)
        rng = np.random.default_rng(3)
        await someone.speak((rng.normal(size=32_000) * 4_000).astype(np.int16), 0)
        await replied(attended, notes)
    assert [answer.interrupted for answer in notes.finals("AGENT")] == [False]
    assert len(notes.finals("USER")) == 1


async def test_typed_lines_are_answered_in_writing_while_nobody_listens(attended: Server) -> None:
    """Once for each key, without any utterance of the person."""
    notes = await begun(attended)
    attended.type("ses_a", "line-1", "What is twelve times seven?")
    attended.type("ses_a", "line-1", "What is twelve times seven?")
    await replied(attended, notes)
    attended.type("ses_a", "line-2", "Thank you.")
    await replied(attended, notes, 2)
    await attended.notebook.until(lambda: len(notes.acknowledged) >= 2)
    assert [(said.text, said.source) for said in notes.finals("AGENT")] == [
        ("That is 84.", "TYPED"),
        ("You're welcome.", "TYPED"),
    ]
    assert notes.finals("USER") == []
    assert set(notes.acknowledged) == {"line-1", "line-2"}


async def test_typed_lines_interrupt_and_are_answered_aloud(attended: Server) -> None:
    """Typing over a reply stops it as speaking does."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        await someone.until(lambda: any(frame["type"] == "peer" for frame in someone.frames))
        attended.type("ses_a", "line-1", "What can you do?")
        await someone.until(lambda: someone.replies and someone.replies[0].played > 36_000)
        attended.type("ses_a", "line-2", "What is two plus two?")
        await replied(attended, notes, 2)
    first, second = notes.finals("AGENT")
    assert first.interrupted
    assert "I can tell you the time and the date, do sums".startswith(first.text[:20])
    assert (second.text, second.source) == ("That is 4.", "SPEECH")
    assert someone.replies[0].cleared_at is not None


async def test_a_line_whose_answer_is_cut_off_by_the_agents_end_is_not_acknowledged(
    server: Server, minds: Minds
) -> None:
    """Another agent gets it then; one that the person typed over is done with."""
    agent = asyncio.create_task(serve(server.url, KEY, ["voxql"], minds, places=1))
    await server.worker_came()
    notes = await begun(server)
    async with person(server.url, server.person_token("ses_a")) as someone:
        await someone.until(lambda: any(frame["type"] == "peer" for frame in someone.frames))
        server.type("ses_a", "line-1", "What can you do?")
        await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
        server.type("ses_a", "line-2", "What can you do?")
        await server.notebook.until(lambda: notes.acknowledged == ["line-1"])
        await someone.until(lambda: len(someone.replies) > 1 and someone.replies[1].played > 48_000)
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
    assert [answer.interrupted for answer in notes.finals("AGENT")] == [True, True]
    assert notes.byes == ["RESTARTING"]
    assert notes.acknowledged == ["line-1"]


async def test_stop_keeps_what_was_heard_so_far(attended: Server) -> None:
    """The interim becomes a final, the reply ends, and bye comes after both."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        speaking = asyncio.create_task(someone.speak(LONG.pcm))
        await attended.notebook.until(lambda: has_begun(notes))
        attended.stop("ses_a")
        await attended.notebook.until(lambda: notes.byes)
        speaking.cancel()
    (said,) = notes.finals("USER")
    assert plain(LONG.words).startswith(plain(said.text)[:10])
    assert notes.byes == ["STOPPED"]
    assert notes.finals("AGENT") == []


async def test_what_was_said_before_the_agent_came_is_heard(attended: Server) -> None:
    """The server keeps it, and the agent takes it in one go."""
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        await someone.speak(CLIP.pcm, 0.5)
        notes = await begun(attended)
        await replied(attended, notes)
    assert jiwer.wer(CLIP.words, plain(notes.finals("USER")[0].text)) <= 0.3


async def test_three_people_talk_at_once_and_the_fourth_is_refused(
    attended: Server, slowness: float
) -> None:
    """With as few mistakes and as little lag as one, and no gap in any reply."""
    sessions = ["ses_1", "ses_2", "ses_3"]
    all_notes = [await begun(attended, session) for session in sessions]
    with pytest.raises(NoFreePlace):
        attended.start_agent("ses_4")
    clips = [sentences()[index] for index in (0, 3, 4)]
    lags: list[float] = []

    async def talk(session: str, notes: Notes, index: int) -> None:
        clip = clips[index]
        async with person(attended.url, attended.person_token(session)) as someone:
            began = await someone.speak(clip.pcm)
            await replied(attended, notes)
            final = notes.finals("USER")[-1]
            lags.append(notes.when(final) - began - clip.voice_ends)
            reply = someone.replies[0]
            await someone.until(lambda: reply.samples == reply.played)
            # Played in real time from the first sound on: a stutter would have made it longer.
            length = (reply.samples or 0) / 24_000
            assert time.monotonic() - reply.began_at < length + 1.0 * slowness

    await asyncio.gather(
        *(
            talk(session, notes, i)
            for i, (session, notes) in enumerate(zip(sessions, all_notes, strict=True))
        )
    )
    heard = [plain(" ".join(said.text for said in notes.finals("USER"))) for notes in all_notes]
    assert jiwer.wer([clip.words for clip in clips], heard) <= 0.12
    # 0.4 s on a quiet machine with two cores.
    assert max(lags) < 1.2 * slowness


async def test_without_speech_packages_it_still_answers_in_writing(server: Server) -> None:
    """Typed conversation needs neither recogniser nor voice."""
    agent = asyncio.create_task(
        serve(server.url, KEY, ["voxql"], Minds(Responder(), None, None), places=1)
    )
    try:
        await server.worker_came()
        notes = await begun(server)
        async with person(server.url, server.person_token("ses_a")) as someone:
            await someone.speak(CLIP.pcm, 0)
            server.type("ses_a", "line-1", "What is two plus two?")
            await replied(server, notes)
        assert notes.finals("AGENT")[0].text == "That is 4."
        assert notes.finals("USER") == []
        assert someone.replies == []
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)


async def test_a_person_who_leaves_hears_no_more(attended: Server) -> None:
    """A reply that lost its listener is cut where they left; typed lines work at once."""
    notes = await begun(attended)
    async with person(attended.url, attended.person_token("ses_a")) as someone:
        await someone.speak(LONG.pcm, 0.1)
        await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
    await replied(attended, notes)
    assert notes.finals("AGENT")[0].interrupted
    attended.type("ses_a", "line-1", "Thank you.")
    await replied(attended, notes, 2)
    assert notes.finals("AGENT")[1].source == "TYPED"


async def test_an_agent_that_is_cancelled_hands_in_what_it_has(
    server: Server, minds: Minds
) -> None:
    """As when its process is told to end in the middle of a sentence."""
    agent = asyncio.create_task(serve(server.url, KEY, ["voxql"], minds, places=1))
    await server.worker_came()
    notes = await begun(server)
    async with person(server.url, server.person_token("ses_a")) as someone:
        speaking = asyncio.create_task(someone.speak(LONG.pcm))
        await server.notebook.until(lambda: has_begun(notes))
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)
        speaking.cancel()
    assert len(notes.finals("USER")) == 1
    assert notes.byes == ["RESTARTING"]
