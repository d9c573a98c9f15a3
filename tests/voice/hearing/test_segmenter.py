"""How sound is cut into utterances, with a fake detector and decoder."""

import asyncio

import numpy as np
import pytest

from agent.speech.segmenter import (
    SAMPLE_RATE,
    WINDOW,
    Pcm,
    Segmenter,
    SegmenterEvent,
    SpeechBegan,
    TurnEnded,
    WordsHeard,
)
from agent.speech.wording import asks_for_more


class Loudness:
    """A detector that takes loud sound for speech."""

    def predict(self, pcm: Pcm) -> float:
        return 1.0 if np.abs(pcm).max() > 100 else 0.0


class Bench:
    """A segmenter whose decoder counts the quarter seconds of its input, or returns `text`."""

    def __init__(self, text: str | None = None) -> None:
        self.events: list[SegmenterEvent] = []
        self.decoded: list[int] = []
        self.text = text
        self.segmenter = Segmenter(Loudness(), self._decode, self.events.append)

    async def _decode(self, pcm: Pcm, urgent: bool) -> str:
        self.decoded.append(len(pcm))
        await asyncio.sleep(0)
        counted = " ".join(map(str, range(4 * len(pcm) // SAMPLE_RATE))) + "."
        return counted if self.text is None else self.text

    async def hear(self, *stretches: float) -> None:
        """Hear this many seconds of speech; negative numbers are seconds of silence."""
        for seconds in stretches:
            size = round(abs(seconds) * SAMPLE_RATE / WINDOW) * WINDOW
            sound = np.full(size, 1_000 if seconds > 0 else 0, np.int16)
            for start in range(0, size, WINDOW):
                self.segmenter.hear(sound[start : start + WINDOW])
                for _ in range(4):
                    await asyncio.sleep(0)

    @property
    def words(self) -> list[WordsHeard]:
        return [event for event in self.events if isinstance(event, WordsHeard)]

    @property
    def finals(self) -> list[WordsHeard]:
        return [words for words in self.words if words.final]


async def test_a_sentence_has_interims_and_one_final() -> None:
    """An interim comes about every quarter of a second, then one final; the turn ends after it."""
    bench = Bench()
    await bench.hear(-0.5, 3, -1)
    assert isinstance(bench.events[0], SpeechBegan)
    assert 9 <= len(bench.words) - 1 <= 15
    assert [words.final for words in bench.words] == [False] * (len(bench.words) - 1) + [True]
    assert isinstance(bench.events[-1], TurnEnded)
    assert bench.finals[0].began == pytest.approx(0.2 * SAMPLE_RATE, abs=2 * WINDOW)
    assert bench.finals[0].ended == pytest.approx(3.5 * SAMPLE_RATE, abs=2 * WINDOW)


async def test_words_wait_for_the_next_hypothesis_but_not_long() -> None:
    """Half a word is not shown; without a newer hypothesis, the current one is shown."""
    bench = Bench(text="I am hung")
    while not bench.words:
        await bench.hear(0.032)
    bench.text = "I am hungry, very"
    while len(bench.words) < 2:
        await bench.hear(0.032)
    assert [words.text for words in bench.words] == ["I", "I am"]
    bench.segmenter._interval = SAMPLE_RATE
    await bench.hear(0.4)
    assert len(bench.words) == 2
    await bench.hear(0.1)
    assert [words.text for words in bench.words][2:] == ["I am hungry, very"]


async def test_a_final_comes_soon_after_the_voice() -> None:
    """A quarter of a second of silence is enough, and the sound was decoded before."""
    bench = Bench()
    await bench.hear(1, -0.22)
    assert not bench.finals
    before = len(bench.decoded)
    await bench.hear(-0.07)
    assert len(bench.finals) == 1
    assert len(bench.decoded) == before


async def test_a_short_pause_ends_nothing() -> None:
    """Voices pause for a fifth of a second within a sentence."""
    bench = Bench()
    await bench.hear(1, -0.2, 1, -0.2, 1, -1)
    assert len(bench.finals) == 1


async def test_a_longer_pause_makes_two_utterances_in_order() -> None:
    """Each has its own final and times."""
    bench = Bench()
    await bench.hear(1, -0.5, 1, -1)
    first, second = bench.finals
    assert first.ended < second.began < second.ended


async def test_clicks_are_no_speech() -> None:
    """Sound shorter than a tenth of a second is not even decoded."""
    bench = Bench()
    await bench.hear(*[0.06, -0.3] * 10)
    assert bench.events == []
    assert bench.decoded == []


async def test_speech_without_words_is_no_utterance() -> None:
    """The detector takes coughs for speech; only words are reported."""
    bench = Bench(text=" ... ")
    await bench.hear(1, -1)
    assert [type(event) for event in bench.events] == [SpeechBegan, TurnEnded]


async def test_what_was_shown_does_not_vanish() -> None:
    """An interim whose final is empty becomes the final itself."""
    bench = Bench(text="Well")
    await bench.hear(1)
    bench.text = ""
    await bench.hear(-1)
    assert [words.text for words in bench.finals] == ["Well"]


async def test_a_sentence_that_asks_for_more_keeps_the_turn_open() -> None:
    """The final is as early as ever; only the answer waits."""
    bench = Bench(text="I went to the market and")
    await bench.hear(1, -0.4)
    assert len(bench.finals) == 1
    assert TurnEnded not in map(type, bench.events)
    await bench.hear(-0.4)
    assert TurnEnded in map(type, bench.events)


async def test_endless_speech_is_cut() -> None:
    """Decoding costs the square of the length, so an utterance has at most sixteen seconds."""
    bench = Bench()
    await bench.hear(40, -1)
    assert len(bench.finals) == 3
    assert max(bench.decoded) <= 17 * SAMPLE_RATE
    for before, after in zip(bench.finals, bench.finals[1:], strict=False):
        assert abs(after.began - before.ended) <= 2 * WINDOW


async def test_a_burst_is_cut_like_speech_in_real_time() -> None:
    """Sound from before the agent came arrives at once, and gives the same finals."""
    bench, slow = Bench(), Bench()
    sound = np.concatenate(
        [np.full(SAMPLE_RATE, 1_000, np.int16), np.zeros(SAMPLE_RATE // 2, np.int16)] * 5
    )
    bench.segmenter.hear(sound)
    await bench.segmenter.finish()
    await slow.hear(*[1, -0.5] * 5)
    await slow.segmenter.finish()
    assert len(bench.finals) == 5
    for fast, real in zip(bench.finals, slow.finals, strict=True):
        assert fast.began == pytest.approx(real.began, abs=2 * WINDOW)
        assert fast.ended == pytest.approx(real.ended, abs=2 * WINDOW)
    assert isinstance(bench.events[-1], TurnEnded)


async def test_finishing_in_the_middle_keeps_what_was_heard() -> None:
    """When a conversation stops, its interim becomes a final."""
    bench = Bench()
    await bench.hear(1)
    assert not bench.finals
    await bench.segmenter.finish()
    assert len(bench.finals) == 1
    assert not bench.segmenter.is_open


async def test_samples_may_come_in_any_portion() -> None:
    """Portions that are not a multiple of the detector's window lose nothing."""
    bench = Bench()
    sound = np.concatenate([np.full(16_000, 1_000, np.int16), np.zeros(16_000, np.int16)])
    for start in range(0, len(sound), 77):
        bench.segmenter.hear(sound[start : start + 77])
        await asyncio.sleep(0)
    await bench.segmenter.finish()
    assert bench.finals[0].ended == pytest.approx(16_000, abs=WINDOW)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("I was there.", False),
        ("Were you there?", False),
        ("I was there,", True),
        ("I was there and", True),
        ("I was there, because.", True),
        ("Who?", False),
        ("", False),
    ],
)
def test_which_words_ask_for_more(text: str, more: bool) -> None:
    """A final comma or conjunction asks for more, even if the recogniser adds a full stop."""
    assert asks_for_more(text) is more
