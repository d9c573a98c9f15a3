"""Delays in one conversation, as a person notices them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from tests.e2e.client.call import Call
from tests.e2e.client.microphone import Said
from tests.e2e.client.player import Reply
from tests.e2e.client.seen import quantile
from tests.speech.sound import RATE, Clip, recordings, silence, spoken
from tests.speech.words import error_rate, normal

GAP_S: Final = 0.05
"""Silence between single words, so that the end of each is known."""
WITHIN_S: Final = 90.0
_WORDS: Final = Path(__file__).parent.parent / "tests/speech/common_words.txt"


@dataclass
class Delays:
    """Measured delays, in seconds."""

    active: list[float] = field(default_factory=list)
    """From New Chat to ACTIVE in the browser."""
    joined: list[float] = field(default_factory=list)
    """From New Chat until the agent hears the person."""
    final: list[float] = field(default_factory=list)
    """From the end of speech to the final in the browser."""
    interim: list[float] = field(default_factory=list)
    """From the end of a word to the first text in the browser that contains it."""
    reply: list[float] = field(default_factory=list)
    """From the end of speech to the first sound of the answer."""
    silent: list[float] = field(default_factory=list)
    """From the start of speech over an answer to the answer's last sound."""
    stalled: list[float] = field(default_factory=list)
    """Gaps in the playback of answers, per conversation."""
    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Return medians and 95th percentiles."""
        found = {"word_error_rate": error_rate(self.said, self.heard)}
        for name in ("active", "joined", "final", "interim", "reply", "silent"):
            values = getattr(self, name)
            if values:
                found[f"{name}_p50"] = quantile(values, 0.5)
                found[f"{name}_p95"] = quantile(values, 0.95)
        found["stalled_max"] = max(self.stalled, default=0.0)
        return {name: round(value, 3) for name, value in found.items()}


def first_sound(reply: Reply) -> float:
    """Return when the first audio of a reply came, even if it was silent."""
    assert reply.first_sound is not None
    return reply.first_sound


def first_voice(reply: Reply) -> float:
    """Return when a reply was first heard: a room always sends audio, most of it silent."""
    assert reply.first_voice is not None
    return reply.first_voice


async def converse(
    call: Call, rounds: range, delays: Delays, began: Callable[[Reply], float] = first_sound
) -> None:
    """Play all recordings, then single words, in each round; call `prepare` first."""
    for number in rounds:
        for clip in recordings():
            await exchange(call, clip, delays, began)
        for seed in (2 * number, 2 * number + 1):
            words = _words(seed)
            said = await exchange(call, words.clip, delays, began)
            delays.interim += _word_delays(call, said, words)


async def exchange(
    call: Call, clip: Clip, delays: Delays, began: Callable[[Reply], float] = first_sound
) -> Said:
    """Play a clip and wait for the answer."""
    replies = len(call.replies)
    said = call.say(clip)
    await call.answered(said, WITHIN_S)
    finals = call.finals("USER", said.began)
    delays.final.append(finals[-1].at - said.voice_ended)
    delays.reply.append(began(call.replies[replies]) - said.voice_ended)
    delays.said.append(clip.text)
    delays.heard.append(" ".join(seen.text for seen in finals))
    return said


def prepare(rounds: range) -> None:
    """Make the words that these rounds need; making them later would disturb measurements."""
    for number in rounds:
        _words(2 * number)
        _words(2 * number + 1)


@dataclass(frozen=True)
class _Words:
    """A clip of single words, with the sample at which each ends."""

    clip: Clip
    ends: list[int]


@cache
def _words(seed: int) -> _Words:
    chosen = random.Random(seed).sample(_WORDS.read_text().split(), 9)
    pieces, ends, place = [], [], 0
    for word in chosen:
        pcm = spoken(word, word).trimmed().pcm
        pieces += [pcm, silence(GAP_S)]
        ends.append(place + len(pcm))
        place += len(pieces[-2]) + len(pieces[-1])
    return _Words(Clip(f"words {seed}", " ".join(chosen), np.concatenate(pieces)), ends)


def _word_delays(call: Call, said: Said, words: _Words) -> Iterator[float]:
    """Yield, for each recognised word, the time until it was shown."""
    seen = [one for one in call.seen if one.role == "USER" and one.at >= said.began]
    for word, end in zip(words.clip.text.split(), words.ends, strict=True):
        for one in seen:
            if normal(word) in normal(one.text).split():
                yield one.at - (said.began + end / RATE)
                break
