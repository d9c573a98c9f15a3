"""A typed line's answer is written at once, and the voice reads it out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.answers import LlmSettings, new_llm
from agent.conversation import Minds
from agent.demo.responder import ABLE
from tests.voice.made_speech import spoken
from tests.voice.person import Reply
from tests.voice.server import Server
from tests.voice.test_answers import Api
from tests.voice.test_conversation import Call, call, heard

__all__ = ["call"]

pytestmark = pytest.mark.sample_clock
FIRST, REST = "The answer", " is forty-two."


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """A model that sends the beginning of its answer, and waits."""
    async with Api().running() as api:
        api.pieces, api.holds = (FIRST, REST), asyncio.Event()
        yield api


@pytest.fixture
async def asked(server: Server, made: Minds, api: Api) -> AsyncIterator[Call]:
    """A conversation with that model."""
    model = new_llm(LlmSettings(api.url, "tiny"))
    asked = Call(server, Minds(model, made.recogniser, made.voice))
    await server.notebook.until(lambda: asked.notes.is_ready)
    yield asked
    await asked.end()
    await model.aclose()
    assert asked.is_orderly(), asked.notes.utterances


def answers(call: Call) -> list[tuple[str, bool, str]]:
    return [(one.text, one.interrupted, one.source) for one in call.notes.finals("AGENT")]


async def first_reply(call: Call, someone: Any) -> Reply:
    """Type a request for a long answer; return the reply while it is spoken."""
    await someone.until(lambda: someone.frames)
    call.type("line-1", "What can you do?")
    await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
    reply: Reply = someone.replies[0]
    return reply


async def test_an_answer_is_written_before_it_is_spoken(call: Call) -> None:
    """One utterance has the whole text from the first sound on; the line is acknowledged then."""
    async with call.cable.person() as someone:
        reply = await first_reply(call, someone)
        assert answers(call) == [(ABLE, False, "TYPED")]
        assert call.notes.acknowledged == ["line-1"]
        await someone.until(lambda: heard(reply) == ABLE)
        await call.server.notebook.until(lambda: call.notes.states[-1][1] == "LISTENING")
    assert len(answers(call)) == 1
    assert call.notes.acknowledged == ["line-1"]


async def test_the_next_line_stops_the_voice_and_takes_nothing_back(call: Call) -> None:
    """Both answers can be read; the second is heard."""
    async with call.cable.person() as someone:
        cut = await first_reply(call, someone)
        call.type("line-2", "What is two plus two?")
        await someone.until(lambda: len(someone.replies) > 1)
        await someone.until(lambda: heard(someone.replies[1]) == "That's 4.")
    assert cut.cleared_at is not None
    assert len(heard(cut)) < len(ABLE)
    assert answers(call) == [(ABLE, False, "TYPED"), ("That's 4.", False, "TYPED")]
    assert call.notes.acknowledged == ["line-1", "line-2"]


async def test_speech_over_it_stops_the_voice_and_takes_nothing_back(call: Call) -> None:
    """Speech is answered aloud, as always."""
    async with call.cable.person() as someone:
        cut = await first_reply(call, someone)
        await someone.speak(spoken("thank you"), 0.5)
        await call.replied(2)
    assert cut.cleared_at is not None
    assert answers(call) == [(ABLE, False, "TYPED"), ("You're welcome.", False, "SPEECH")]


async def test_who_leaves_can_still_read_it(call: Call) -> None:
    """The voice stops; the answer is stored once."""
    async with call.cable.person() as someone:
        await first_reply(call, someone)
    call.type("line-2", "Thank you.")
    await call.replied(2)
    assert answers(call) == [(ABLE, False, "TYPED"), ("You're welcome.", False, "TYPED")]


async def test_an_agent_that_ends_while_it_speaks_has_answered(call: Call) -> None:
    """The next agent does not repeat the answer."""
    async with call.cable.person() as someone:
        await first_reply(call, someone)
        await call.end()
    assert answers(call) == [(ABLE, False, "TYPED")]
    assert call.notes.acknowledged == ["line-1"]
    assert call.notes.byes == ["RESTARTING"]


@pytest.mark.parametrize("is_there", [True, False])
async def test_what_a_model_has_written_is_shown_as_it_comes(
    asked: Call, api: Api, is_there: bool
) -> None:
    """The beginning of the answer is shown, whether or not anybody hears it."""
    assert api.holds is not None
    async with asked.cable.person() as someone:
        if is_there:
            await someone.until(lambda: someone.frames)
        asked.type("line-1", "What is the answer?")
        await asked.server.notebook.until(lambda: asked.notes.utterances)
        (_, begun), *_ = asked.notes.utterances
        assert (begun.text, begun.final, begun.source) == (FIRST, False, "TYPED")
        assert asked.notes.acknowledged == []
        api.holds.set()
        await asked.replied()
    assert answers(asked) == [(FIRST + REST, False, "TYPED")]
    assert asked.notes.acknowledged == ["line-1"]


async def test_the_next_line_keeps_what_a_model_had_written(asked: Call, api: Api) -> None:
    """The text is kept as an interrupted answer, and the line counts as answered."""
    assert api.holds is not None
    asked.type("line-1", "What is the answer?")
    await asked.server.notebook.until(lambda: asked.notes.utterances)
    asked.type("line-2", "And the question?")
    await asked.replied()
    api.holds.set()
    await asked.replied(2)
    await asked.server.notebook.until(lambda: len(asked.notes.acknowledged) >= 2)
    assert answers(asked) == [(FIRST, True, "TYPED"), (FIRST + REST, False, "TYPED")]
    assert asked.notes.acknowledged == ["line-1", "line-2"]


async def test_an_agent_that_ends_while_it_writes_has_not_answered(asked: Call, api: Api) -> None:
    """Its text is kept, and the next agent answers."""
    asked.type("line-1", "What is the answer?")
    await asked.server.notebook.until(lambda: asked.notes.utterances)
    await asked.end()
    assert answers(asked) == [(FIRST, True, "TYPED")]
    assert asked.notes.acknowledged == []
    assert asked.notes.byes == ["RESTARTING"]


async def test_the_model_knows_that_all_of_it_was_read(asked: Call, api: Api) -> None:
    """The model's history has the whole answer, even if the voice was stopped early."""
    assert api.holds is not None
    api.holds.set()
    api.pieces = tuple(f"{word} " for word in ABLE.split())
    async with asked.cable.person() as someone:
        await first_reply(asked, someone)
        asked.type("line-2", "Go on.")
        await asked.replied(2)
    messages: Any = api.requests[-1]["messages"]
    (answer,) = (message["content"] for message in messages if message["role"] == "assistant")
    assert answer.split() == ABLE.split()
