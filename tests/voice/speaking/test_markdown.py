"""With a model that writes Markdown, the voice says its words and the transcript keeps it."""

from collections.abc import AsyncIterator

import pytest

from agent.answers import LlmSettings, new_llm
from agent.conversation import Minds
from agent.speaking.plain_words import PlainWords
from tests.voice.made_speech import MadeVoice, spoken
from tests.voice.server import Server
from tests.voice.test_answers import Api
from tests.voice.test_conversation import Call, heard

pytestmark = pytest.mark.sample_clock
PIECES = (
    *("**Two", " things**", " from", " [the shop](https://", "shop.example/a?b=1):", "\n\n"),
    *("1. *fre", "sh* eggs", "\n2. `butter`", " \U0001f9c8", "\n\n| a | b |\n|--", "-|---|\n"),
    *("| 1 | 2 |\n", "\nThat is", " all", "."),
)
ANSWER = "".join(PIECES)
SAID = "Two things from the shop: 1. fresh eggs 2. butter a, b 1, 2 That is all."


class Unaligned(MadeVoice):
    """A voice without word timings."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities.aligned_transcript = False


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with Api().running() as api:
        api.pieces = PIECES
        yield api


@pytest.fixture(params=[MadeVoice, Unaligned], ids=["aligned", "unaligned"])
async def call(
    request: pytest.FixtureRequest, server: Server, made: Minds, api: Api
) -> AsyncIterator[Call]:
    model = new_llm(LlmSettings(api.url, "tiny"))
    call = Call(server, Minds(model, made.recogniser, request.param()))
    await server.notebook.until(lambda: call.notes.is_ready)
    yield call
    await call.end()
    await model.aclose()
    assert call.is_orderly(), call.notes.utterances


async def test_the_voice_says_the_words_and_the_transcript_keeps_the_markdown(call: Call) -> None:
    """The test covers all steps from the model's HTTP answer to the person and the bridge."""
    async with call.cable.person() as someone:
        await someone.speak(spoken("what do I need"))
        await call.replied()
        reply = someone.replies[0]
        assert heard(reply) == SAID
    (answer,) = call.notes.finals("AGENT")
    assert (answer.text, answer.interrupted, answer.source) == (ANSWER, False, "SPEECH")
    growing = [interim.text for interim in call.notes.interims(answer.segment)]
    assert all(ANSWER.startswith(text) for text in growing)


async def test_an_interrupted_answer_keeps_the_markdown_that_was_heard(
    call: Call, request: pytest.FixtureRequest
) -> None:
    """The text ends at the interrupted word with its marks, or near it without word timings."""
    async with call.cable.person() as someone:
        await someone.speak(spoken("what do I need"), 0.1)
        await someone.until(lambda: someone.replies and someone.replies[0].played > 36_000)
        await someone.speak(spoken("thank you"), 0.5)
        await call.replied()
        words = heard(someone.replies[0])
    answer = call.notes.finals("AGENT")[0]
    assert answer.interrupted
    assert 5 < len(words.split()) < 12
    assert ANSWER.startswith(answer.text)
    assert answer.text.startswith("**Two things** from [the shop](https://shop.example/a?b=1):")
    kept = "".join(said for said, _ in PlainWords().push(f"{answer.text} ")).split()
    if "unaligned" in request.node.name:
        assert abs(len(kept) - len(words.split())) <= 2
    else:
        assert kept == words.split()


async def test_what_is_only_written_is_the_markdown(call: Call) -> None:
    """An answer that nobody hears is stored with its Markdown."""
    call.type("line-1", "What do I need?")
    await call.replied()
    (answer,) = call.notes.finals("AGENT")
    assert (answer.text, answer.source) == (ANSWER, "TYPED")


async def test_an_answer_without_a_word_is_kept(call: Call, api: Api) -> None:
    """The voice has nothing to say, but the person can read the answer."""
    api.pieces = ("\U0001f44d",)
    async with call.cable.person() as someone:
        await someone.speak(spoken("good"))
        await call.replied()
    assert [said.text for said in call.notes.finals("AGENT")] == ["\U0001f44d"]
