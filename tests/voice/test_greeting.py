"""The shipped agent speaks first: once in a conversation, and never over the person."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from livekit.agents import llm

from agent.answers import GREETING_OF_A_MODEL, LlmSettings, Responder, greeting
from agent.conversation import Minds
from agent.demo.responder import GREETING
from agent.greeting import ALONE, PAUSE
from tests.speech import RATE
from tests.voice.made_speech import spoken
from tests.voice.server import Server
from tests.voice.test_conversation import Call, heard

pytestmark = pytest.mark.sample_clock
LATER_S = 2 * (ALONE + PAUSE)
"""Seconds after which a greeting would have begun."""


class Reader(Responder):
    """Notes whose messages it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[str]] = []

    def chat(self, *, chat_ctx: llm.ChatContext, **more: Any) -> llm.LLMStream:
        messages = [one for one in chat_ctx.items if isinstance(one, llm.ChatMessage)]
        self.read.append([message.role for message in messages])
        return super().chat(chat_ctx=chat_ctx, **more)


Started = Callable[..., Awaitable[Call]]


@pytest.fixture
async def start(server: Server, made: Minds) -> AsyncIterator[Started]:
    """Start agents that greet, one after the other."""
    calls: list[Call] = []

    async def started(attempt: int = 1, text: str = GREETING) -> Call:
        calls.append(Call(server, replace(made, greeting=text), attempt))
        await server.notebook.until(lambda: calls[-1].notes.is_ready)
        return calls[-1]

    yield started
    for call in calls:
        await call.end()
        assert call.is_orderly(), call.notes.utterances


def said(call: Call) -> list[tuple[str, bool, str]]:
    """Return the agent's finals."""
    return [(one.text, one.interrupted, one.source) for one in call.notes.finals("AGENT")]


async def test_who_comes_is_greeted_aloud_and_in_text(start: Started) -> None:
    """After a pause; it is an utterance like any other."""
    call = await start()
    async with call.cable.person() as someone:
        came = asyncio.get_running_loop().time()
        await call.replied()
        (reply,) = someone.replies
        assert reply.began_at - came == pytest.approx(PAUSE, abs=0.1)
        assert heard(reply) == GREETING
        assert said(call) == [(GREETING, False, "SPEECH")]
        (final,) = call.notes.finals("AGENT")
        growing = [interim.text for interim in call.notes.interims(final.segment)]
        assert len(growing) == len(GREETING.split())
        await call.server.notebook.until(lambda: call.notes.states[-1][1] == "LISTENING")
        states = [state for _, state in call.notes.states]
        assert states == ["INITIALIZING", "LISTENING", "SPEAKING", "LISTENING"]


async def test_where_nobody_can_hear_it_the_greeting_is_written(start: Started) -> None:
    """A person who comes afterwards is not greeted again."""
    call = await start()
    await call.replied()
    assert said(call) == [(GREETING, False, "TYPED")]
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert len(said(call)) == 1


async def test_the_greeting_can_be_spoken_over(start: Started) -> None:
    """It stops, keeps what was heard of it, and the person is answered."""
    call = await start()
    async with call.cable.person() as someone:
        await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
        await someone.speak(spoken("thank you"))
        await call.replied(2)
        cut = someone.replies[0]
    assert cut.cleared_at is not None
    assert 0 < len(heard(cut).split()) < len(GREETING.split())
    assert said(call) == [(heard(cut), True, "SPEECH"), ("You're welcome.", False, "SPEECH")]


async def test_a_line_that_is_typed_over_the_greeting_is_answered(start: Started) -> None:
    """It stops for that as well, and the line is acknowledged once it is answered."""
    call = await start()
    async with call.cable.person() as someone:
        await someone.until(lambda: someone.replies and someone.replies[0].played > 24_000)
        call.type("line-1", "What is two plus two?")
        await call.replied(2)
        cut = someone.replies[0]
        await call.server.notebook.until(lambda: call.notes.acknowledged == ["line-1"])
    assert said(call) == [(heard(cut), True, "SPEECH"), ("That's 4.", False, "TYPED")]


@pytest.mark.parametrize("after", [0.0, PAUSE - 0.15])
async def test_who_speaks_first_is_not_greeted(start: Started, after: float) -> None:
    """They are answered, and that is all; also when the greeting was about to begin."""
    call = await start()
    async with call.cable.person() as someone:
        await asyncio.sleep(after)
        await someone.speak(spoken("thank you"), LATER_S)
        assert len(someone.replies) == 1
    assert said(call) == [("You're welcome.", False, "SPEECH")]


async def test_who_begins_together_with_the_greeting_stops_it(start: Started) -> None:
    """Nobody could know sooner; it is over with the first word that is recognised."""
    call = await start()
    async with call.cable.person() as someone:
        await asyncio.sleep(PAUSE)
        await someone.speak(spoken("thank you"))
        await call.replied(2)
        cut = someone.replies[0]
    assert cut.cleared_at is not None
    assert cut.cleared_at - cut.began_at < 0.4
    (_, is_cut, _), thanks = said(call)
    assert is_cut
    assert thanks == ("You're welcome.", False, "SPEECH")


async def test_who_spoke_before_the_agent_came_is_not_greeted(server: Server, made: Minds) -> None:
    """The line has kept it, and the agent hears it first."""
    call = Call(server, replace(made, greeting=GREETING))
    sound = spoken("repeat after me the garden is full of yellow flowers")
    async with call.cable.person() as someone:
        for start in range(0, len(sound), 320):
            await someone.socket.send(sound[start : start + 320].tobytes())
        await asyncio.sleep(LATER_S)
    await call.end()
    assert [text for text, _, _ in said(call)] == ["The garden is full of yellow flowers."]


async def test_who_types_first_is_not_greeted(start: Started) -> None:
    """Whether or not they can hear."""
    call = await start()
    call.type("line-1", "Thank you.")
    await call.replied()
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert said(call) == [("You're welcome.", False, "TYPED")]


async def test_a_noise_only_delays_the_greeting(start: Started) -> None:
    """It may become words; when it has not, the person has said nothing."""
    call = await start()
    async with call.cable.person() as someone:
        noise = (np.random.default_rng(3).normal(size=2 * RATE) * 4_000).astype(np.int16)
        began = await someone.speak(noise, 0)
        await call.replied()
        (reply,) = someone.replies
        assert reply.began_at > began + 2
    assert said(call) == [(GREETING, False, "SPEECH")]
    assert call.notes.finals("USER") == []


async def test_who_comes_back_is_not_greeted_again(start: Started) -> None:
    """Their connection broke, or they loaded the page again."""
    call = await start()
    async with call.cable.person():
        await call.replied()
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert len(said(call)) == 1


async def test_an_agent_that_continues_a_conversation_does_not_greet(start: Started) -> None:
    """The one before has died, or the person has resumed what had ended."""
    call = await start(attempt=2)
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert said(call) == []


async def test_an_agent_can_be_told_not_to_greet(start: Started) -> None:
    """VOXQL_GREETING=false."""
    call = await start(text="")
    async with call.cable.person():
        await asyncio.sleep(LATER_S)
    assert said(call) == []


async def test_the_greeting_is_nothing_that_a_model_reads(server: Server, made: Minds) -> None:
    """Some templates refuse a conversation in which the assistant speaks first."""
    reader = Reader()
    call = Call(server, replace(made, answers=reader, greeting=GREETING))
    await call.replied()
    call.type("line-1", "Hello.")
    await call.replied(2)
    await call.end()
    assert reader.read == [["system", "user"]]


def test_a_model_does_not_present_itself_as_the_demo() -> None:
    """What it can do depends on the model."""
    assert greeting(None) == GREETING
    assert greeting(LlmSettings("http://localhost:11434/v1", "llama3.2")) == GREETING_OF_A_MODEL
