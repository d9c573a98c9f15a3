"""Speech over a reply stops it, and its unspoken part is not in the transcript."""

import pytest

from tests.e2e.client.microphone import Said
from tests.e2e.client.person import Person
from tests.e2e.client.player import RATE, Reply
from tests.e2e.machine import Machine
from tests.programs.server_process import ServerProcess
from tests.speech.hearing import understood
from tests.speech.sound import recording, spoken
from tests.speech.words import error_rate, normal

pytestmark = [pytest.mark.timeout(300), pytest.mark.soak]

SENTENCE = (
    "the old train left the station early in the morning and went slowly along the river to the "
    "mountain village where my brother lives with his children and a very large brown dog"
)
STOPS_WITHIN_S = 0.5


@pytest.mark.parametrize("heard_s", [1.2, 3.0])
async def test_speech_over_a_reply_stops_it(
    talking: ServerProcess, transport: str, heard_s: float
) -> None:
    """The reply stops at once; the transcript keeps what was heard, marked as interrupted."""
    machine = Machine(talking.process.pid)
    request = spoken("request", f"repeat after me {SENTENCE}")
    async with Person(talking.url) as person, await person.talk() as call:
        call.say(request)
        await call.until(lambda: call.replies and call.replies[0].samples > heard_s * RATE)
        reply = call.replies[0]
        over = call.say(recording("0920").trimmed())
        await call.until(lambda: reply.silent_since)
        took = _silent_after(reply, over)
        if transport == "local":
            # In a room this depends on the network, too; `bench.speech` measures it.
            assert 0 < took <= machine.allows(STOPS_WITHIN_S)
            assert reply.length is None, "a reply that was cut off has no end"
        await call.answered(over)

        kept = await person.utterances(call.id)
        keys = [one["key"] for one in kept]
        cut = kept[keys.index(call.finals("AGENT")[0].key)]
        # The request may be one or more finals.
        asked = [one["text"] for one in kept[: kept.index(cut)] if one["role"] == "USER"]
        _assert_prefix(" ".join(asked), cut["text"])
        assert cut["isInterrupted"]
        _assert_agrees(cut["text"], understood(reply.heard))
        assert not any(one["isInterrupted"] for one in kept if one is not cut)


def _silent_after(reply: Reply, over: Said) -> float:
    assert reply.silent_since is not None
    took = reply.silent_since - over.voice_began
    print(f"\nsilent {took * 1000:.0f} ms after the person began")
    return took


def _assert_prefix(asked: str, kept: str) -> None:
    """Check that the stored words are a proper prefix of the reply."""
    whole = normal(asked).removeprefix("repeat after me ").split()
    words = normal(kept).split()
    assert words
    assert len(words) < len(whole)
    assert whole[: len(words)] == words, (asked, kept)


def _assert_agrees(kept: str, heard: str) -> None:
    """Check that the voice said the stored words; the last word may be cut in half."""
    words = normal(heard).split()
    rates = [error_rate([kept], [" ".join(part)]) for part in (words, words[:-1]) if part]
    assert min(rates) <= 0.2, (kept, heard)
