"""The shipped agent greets: once in a conversation, and never over the person."""

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
from tests.speech.recordings import RATE
from tests.voice.made_speech import spoken
from tests.voice.server import Server
from tests.voice.test_conversation import Call, heard

pytestmark = pytest.mark.sample_clock
LATER_S = 2 * (ALONE + PAUSE)
"""Seconds after which a greeting would have started."""


class Reader(Responder):
    """Records the roles of the messages that it is given."""

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
    """Start agents that greet, one after another."""
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
    """The greeting follows a pause, and is an ordinary utterance."""
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
    """A person who comes later is not greeted again."""
    call = await start()
    await call.replied()
    assert said(call) == [(GREETING, False, "TYPED")]
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert len(said(call)) == 1


async def test_the_greeting_can_be_spoken_over(start: Started) -> None:
    """The greeting stops, keeps what was heard of it, and the person is answered."""
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
    """A typed line stops the greeting, too, and is acknowledged once answered."""
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
    """The person is only answered, even if the greeting was about to begin."""
    call = await start()
    async with call.cable.person() as someone:
        await asyncio.sleep(after)
        await someone.speak(spoken("thank you"), LATER_S)
        assert len(someone.replies) == 1
    assert said(call) == [("You're welcome.", False, "SPEECH")]


async def test_who_begins_together_with_the_greeting_stops_it(start: Started) -> None:
    """The first recognised word stops the greeting; nothing sooner could."""
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
    """The line has kept the words, and the agent hears them first."""
    call = Call(server, replace(made, greeting=GREETING))
    sound = spoken("repeat after me the garden is full of yellow flowers")
    async with call.cable.person() as someone:
        for start in range(0, len(sound), 320):
            await someone.socket.send(sound[start : start + 320].tobytes())
        await asyncio.sleep(LATER_S)
    await call.end()
    assert [text for text, _, _ in said(call)] == ["The garden is full of yellow flowers."]


async def test_who_types_first_is_not_greeted(start: Started) -> None:
    """A typed line prevents the greeting, whether or not the person can hear."""
    call = await start()
    call.type("line-1", "Thank you.")
    await call.replied()
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert said(call) == [("You're welcome.", False, "TYPED")]


async def test_a_noise_only_delays_the_greeting(start: Started) -> None:
    """Noise may become words; if it doesn't, the person has said nothing."""
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
    """The person lost the connection, or reloaded the page."""
    call = await start()
    async with call.cable.person():
        await call.replied()
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert len(said(call)) == 1


async def test_an_agent_that_continues_a_conversation_does_not_greet(start: Started) -> None:
    """The previous agent died, or the person resumed an ended conversation."""
    call = await start(attempt=2)
    async with call.cable.person() as someone:
        await asyncio.sleep(LATER_S)
        assert someone.replies == []
    assert said(call) == []


async def test_an_agent_can_be_told_not_to_greet(start: Started) -> None:
    """VOXQL_GREETING=false disables the greeting."""
    call = await start(text="")
    async with call.cable.person():
        await asyncio.sleep(LATER_S)
    assert said(call) == []


async def test_the_greeting_is_nothing_that_a_model_reads(server: Server, made: Minds) -> None:
    """Some templates reject a conversation that the assistant starts."""
    reader = Reader()
    call = Call(server, replace(made, answers=reader, greeting=GREETING))
    await call.replied()
    call.type("line-1", "Hello.")
    await call.replied(2)
    await call.end()
    assert reader.read == [["system", "user"]]


def test_a_model_does_not_present_itself_as_the_demo() -> None:
    """A model's abilities depend on the model."""
    assert greeting(None) == GREETING
    assert greeting(LlmSettings("http://localhost:11434/v1", "llama3.2")) == GREETING_OF_A_MODEL
