"""Readable interims: words on which hypotheses agree, and few that are taken back."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from agent.speech.agreement import Agreement
from agent.speech.recogniser import LocalRecogniser
from tests.speech.recordings import RATE, Clip, cards, plain, sentences, silence
from tests.voice.hearing.test_recognition import KINDS, recognise


@pytest.mark.parametrize(
    ("hypotheses", "shown"),
    [
        (["And the."], ["And"]),
        (["And the.", "And Mr. John."], ["And", "And"]),
        (["And Mr.", "And Mr. John.", "and mr John Dashwood"], ["And", "And Mr", "and mr John"]),
        (["How less", "I'd less to", "I'd less to be."], ["How", "How", "I'd less to"]),
        (["I was there,", "I was there."], ["I", "I was there"]),
        (["one two three", "one two three", "one"], ["one", "one two three", "one two three"]),
        (["one two three", "one two three", "one TWO four", "one two four"],
         ["one", "one two three", "one two three", "one two four"]),
        (["今天 天气", "今天 天气 很好"], ["今天", "今天 天气"]),
        (["— and", "and"], ["—", "—"]),
    ],
)  # fmt: skip
def test_words_are_shown_on_which_two_hypotheses_agree(
    hypotheses: list[str], shown: list[str]
) -> None:
    """Case and punctuation don't matter; the first hypothesis shows one word; shown words stay."""
    agreement, seen = Agreement(), []
    for text in hypotheses:
        agreement.take(text)
        seen.append(agreement.shown)
    assert seen == shown


def test_the_rest_can_be_shown_without_agreement() -> None:
    """The rest can be shown when nothing else comes; later hypotheses still count."""
    agreement = Agreement()
    agreement.take("I went to the market.")
    before = agreement.is_whole
    agreement.show_all()
    assert (before, agreement.is_whole) == (False, True)
    assert agreement.shown == "I went to the market."
    agreement.take("I went to the meeting today")
    assert agreement.shown == "I went to the market."
    agreement.take("I went to the meeting today, and")
    assert agreement.shown == "I went to the meeting today"


@dataclass
class Reading:
    """What a reader saw of some recordings."""

    taken_back: int
    """Words that were shown and later changed or removed."""
    lasting: list[list[float]]
    """For each recording and word, the seconds until it was shown for good."""


async def read(recogniser: LocalRecogniser, clips: Sequence[Clip]) -> Reading:
    """Play recordings to a recogniser, and follow its output."""
    reading = Reading(0, [])
    for clip in clips:
        events = await recognise(recogniser, np.concatenate([clip.pcm, silence(1)]))
        settled: list[str] = []
        shown: list[str] = []
        since: list[float] = []
        for at, event in events:
            if not event.alternatives:
                continue
            words = settled + plain(event.alternatives[0].text).split()
            stays = _alike(shown, words)
            reading.taken_back += len(shown) - stays
            shown, since = words, since[:stays] + [at] * (len(words) - stays)
            if event.type is KINDS.FINAL_TRANSCRIPT:
                settled = words
        reading.lasting.append(since)
    return reading


def _alike(some: Sequence[str], others: Sequence[str]) -> int:
    pairs = zip(some, others, strict=False)
    return next(
        (at for at, (one, other) in enumerate(pairs) if one != other), min(len(some), len(others))
    )


@dataclass
class Compared:
    """Agreement compared with showing each hypothesis as it comes, every 0.5 s."""

    now: float
    """Words taken back per minute."""
    before: float
    later_s: list[float]
    """For each word, how much later it is shown for good."""

    def __str__(self) -> str:
        return (
            f"Words taken back a minute: {self.before:.0f} before, {self.now:.0f} now; "
            f"{len(self.later_s)} words come "
            f"{statistics.mean(self.later_s) * 1e3:+.0f} ms later on average"
        )


async def compared(
    recogniser: LocalRecogniser, clips: Sequence[Clip], monkeypatch: pytest.MonkeyPatch
) -> Compared:
    parts = recogniser.decoders, recogniser.new_detector
    steady = await read(LocalRecogniser(*parts, model="", language="en"), clips)
    with monkeypatch.context() as patch:
        patch.setattr(Agreement, "take", _shows_everything)
        raw = await read(LocalRecogniser(*parts, model="", language="en", interval=0.5), clips)
    minutes = sum(len(clip.pcm) for clip in clips) / RATE / 60
    alike = [
        (news, olds)
        for news, olds in zip(steady.lasting, raw.lasting, strict=True)
        if len(news) == len(olds)
    ]
    later_s = [new - old for news, olds in alike for new, old in zip(news, olds, strict=True)]
    return Compared(steady.taken_back / minutes, raw.taken_back / minutes, later_s)


@pytest.mark.sample_clock
@pytest.mark.usefixtures("clock")
async def test_few_words_of_a_sentence_are_taken_back(
    recogniser: LocalRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence recognised late has at most a third of the words taken back, hardly any later."""
    found = await compared(recogniser, [sentences()[2]], monkeypatch)
    assert len(found.later_s) > 10, found
    assert found.now <= found.before / 3, found
    assert statistics.mean(found.later_s) <= 0.15, found


@pytest.mark.soak
@pytest.mark.sample_clock
@pytest.mark.usefixtures("clock")
async def test_few_words_of_ten_recordings_are_taken_back(
    recogniser: LocalRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks the figures of docs/speech.md."""
    found = await compared(recogniser, [*sentences(), *cards()], monkeypatch)
    print(found)
    assert len(found.later_s) > 60, found
    assert found.now <= found.before / 3, found
    assert statistics.mean(found.later_s) <= 0.15, found


def _shows_everything(agreement: Agreement, text: str) -> None:
    agreement.shown = agreement._newest = text
