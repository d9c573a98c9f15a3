"""Cuts one person's audio into utterances, and has them decoded while they are still spoken.

Time is measured in samples. So a burst (what was said before the agent joined) is cut like speech
in real time, and a test gives the same result on any machine.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from agent.speech.agreement import Agreement
from agent.speech.wording import asks_for_more, has_words

SAMPLE_RATE: Final = 16_000
WINDOW: Final = 512
"""Samples that the voice detector judges at once: 32 ms."""
Pcm = npt.NDArray[np.int16]

_ON: Final = 0.5
_OFF: Final = 0.35
"""Silero's own pair of thresholds: speech needs less evidence to continue than to begin."""


def _windows(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / WINDOW)


_ONSET: Final = _windows(0.1)
"""Consecutive windows of speech that begin an utterance; a click is shorter."""
_LOOK_BACK: Final = _windows(0.32)
"""Windows kept from before speech was detected, for a soft first consonant."""
_PAUSE: Final = _windows(0.1)
"""Silence after which decoding for the final starts, in case the utterance has ended."""
_UTTERANCE_END: Final = _windows(0.26)
"""Silence that ends an utterance. Pauses in the recordings of tests/speech last up to 0.22 s."""
_OVERLAP: Final = _windows(0.16)
"""How much of that silence the next utterance starts with, for a soft first consonant."""
_TURN_END: Final = _windows(0.65)
"""Silence that ends a turn with an unfinished sentence ("and", a comma)."""
_LONGEST: Final = _windows(16)
"""Longest utterance: the cost of decoding it repeatedly grows with the square of its length."""
_CUT_WITHIN: Final = _windows(3)
_EARLY: Final = _windows(0.1)
"""Time between interims while there are no words yet, because words interrupt a reply."""
_FIRST_LOOK: Final = _windows(0.16)
_EARLY_UNTIL: Final = _windows(0.6)
_HOLD: Final = _windows(0.45)
"""How long words without agreement wait for the next hypothesis before they are shown."""
_BREATHER: Final = 1.5
"""Shortest time between interims, as a multiple of the time that decoding the last one took."""
_LONGEST_BREATHER: Final = _windows(1.5)


class Detector(Protocol):
    """Says how likely a window of 512 samples is speech."""

    def predict(self, pcm: Pcm) -> float:
        """Return the probability that somebody is speaking."""
        ...


Decode = Callable[[Pcm, bool], Awaitable[str]]
"""Turns audio into words; True marks an urgent request, whose result somebody waits for."""


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody began to speak; there are no words yet. `at` counts samples of the stream."""

    at: int


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """The interim or final words of an utterance. Times count samples."""

    text: str
    final: bool
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The person has finished their turn. `at` is when the voice ended."""

    at: int


SegmenterEvent = SpeechBegan | WordsHeard | TurnEnded


class _Utterance:
    """One utterance: its windows, and the probability that each is speech."""

    def __init__(self, began: int, windows: list[Pcm], odds: list[float]) -> None:
        self.began = began
        self.windows = windows
        self.odds = odds
        self.voice = len(windows)
        """The number of windows up to the last one with speech."""
        self.text = ""
        """The newest hypothesis that has words."""
        self.agreement = Agreement()
        self.told = ""
        """The interim reported last."""
        self.hypothesis_at = 0
        """How much had been spoken when `text` arrived."""
        self.looked = 0
        """How much had been spoken when the last interim was started."""
        self.decoding: asyncio.Task[None] | None = None
        """The interim being decoded."""
        self.guess: asyncio.Task[str] | None = None
        """The final being decoded, valid only if nothing is said after it was started."""
        self.guessed_voice = 0

    @property
    def spoken(self) -> int:
        """How many windows there are since speech was detected."""
        return len(self.windows) - _LOOK_BACK

    @property
    def ended(self) -> int:
        """The sample after the last one of the voice."""
        return self.began + self.voice * WINDOW

    def sound(self) -> Pcm:
        """Return all of its audio."""
        return np.concatenate(self.windows)


class Segmenter:
    """Cuts and decodes what one person says.

    Args:
        detector: tells speech from other sound; has state, so each person needs their own.
        decode: see `Decode`.
        tell: receives each event, in order, in the event loop's thread.
        interval: seconds of speech between interims.
    """

    def __init__(
        self,
        detector: Detector,
        decode: Decode,
        tell: Callable[[SegmenterEvent], None],
        *,
        interval: float = 0.25,
    ) -> None:
        self._detector = detector
        self._decode = decode
        self._tell = tell
        self._interval = _windows(interval)
        self._rest = np.zeros(0, np.int16)
        self._heard = 0
        self._before: deque[tuple[Pcm, float]] = deque(maxlen=_LOOK_BACK + _ONSET)
        self._onset = 0
        self._silence = 0
        self._breather = 0
        self._utterance: _Utterance | None = None
        self._finals: asyncio.Task[None] | None = None
        self._turn_open = False
        self._asks_for_more = False
        self._voice_ended = 0

    @property
    def is_open(self) -> bool:
        """Whether a turn has begun and not ended."""
        return self._turn_open

    @property
    def _is_settled(self) -> bool:
        return self._finals is None or self._finals.done()

    def hear(self, pcm: Pcm) -> None:
        """Take audio: 16-bit samples, 16,000 a second."""
        sound = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        whole = len(sound) - len(sound) % WINDOW
        for start in range(0, whole, WINDOW):
            self._window(sound[start : start + WINDOW])
        self._rest = sound[whole:].copy()

    async def finish(self) -> None:
        """End the utterance and the turn; report their finals before returning."""
        if self._utterance is not None:
            self._end_utterance(self._utterance)
        self._onset = 0
        if self._finals is not None:
            await self._finals
        # The person may have begun to speak again.
        if self._utterance is None:
            self._end_turn()

    async def close(self) -> None:
        """Cancel all decoding."""
        tasks: list[asyncio.Task[None] | asyncio.Task[str] | None] = [self._finals]
        if self._utterance is not None:
            tasks += self._utterance.decoding, self._utterance.guess
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _window(self, window: Pcm) -> None:
        odds = self._detector.predict(window)
        self._heard += WINDOW
        if self._utterance is None:
            self._wait(window, odds)
        else:
            self._follow(self._utterance, window, odds)

    def _wait(self, window: Pcm, odds: float) -> None:
        self._before.append((window.copy(), odds))
        self._onset = self._onset + 1 if odds >= _ON else 0
        self._silence += 1
        if self._onset >= _ONSET:
            windows = [kept for kept, _ in self._before]
            began = self._heard - len(windows) * WINDOW
            self._utterance = _Utterance(began, windows, [kept for _, kept in self._before])
            self._before.clear()
            self._onset = self._silence = 0
            self._turn_open = True
            self._tell(SpeechBegan(max(0, self._heard - _ONSET * WINDOW)))
        elif self._turn_open and self._silence >= _TURN_END and self._is_settled:
            self._end_turn()

    def _follow(self, utterance: _Utterance, window: Pcm, odds: float) -> None:
        utterance.windows.append(window.copy())
        utterance.odds.append(odds)
        if odds >= _OFF:
            self._silence = 0
            utterance.voice = len(utterance.windows)
        else:
            self._silence += 1
        if self._silence >= _UTTERANCE_END:
            self._end_utterance(utterance)
        elif len(utterance.windows) >= _LONGEST:
            self._cut(utterance)
        elif self._silence == _PAUSE:
            self._guess(utterance)
        elif (
            utterance.spoken >= utterance.hypothesis_at + _HOLD and not utterance.agreement.is_whole
        ):
            utterance.agreement.show_all()
            self._show(utterance)
        elif self._is_due(utterance) and (utterance.decoding is None or utterance.decoding.done()):
            utterance.looked = utterance.spoken
            utterance.decoding = asyncio.create_task(self._interim(utterance))

    def _is_due(self, utterance: _Utterance) -> bool:
        spoken = utterance.spoken
        if spoken < _FIRST_LOOK:
            return False
        is_early = not utterance.text and spoken <= _EARLY_UNTIL
        pause = _EARLY if is_early else max(self._interval, self._breather)
        return spoken >= utterance.looked + pause

    def _guess(self, utterance: _Utterance) -> None:
        """Start decoding the utterance as if it were complete, while waiting to see if it is."""
        if utterance.guess is not None:
            utterance.guess.cancel()
        utterance.guessed_voice = utterance.voice
        utterance.guess = asyncio.create_task(self._guessed(utterance))

    async def _guessed(self, utterance: _Utterance) -> str:
        text = await self._decode(utterance.sound(), True)
        self._suppose(utterance, text)
        return text

    async def _interim(self, utterance: _Utterance) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        text = await self._decode(utterance.sound(), False)
        # A busy machine decodes fewer interims, so that finals stay fast.
        self._breather = min(_windows(_BREATHER * (loop.time() - began)), _LONGEST_BREATHER)
        self._suppose(utterance, text)

    def _suppose(self, utterance: _Utterance, text: str) -> None:
        """Take a hypothesis, and show the words on which it agrees with the previous one."""
        if has_words(text):
            utterance.text = text
            utterance.hypothesis_at = utterance.spoken
            utterance.agreement.take(text)
            self._show(utterance)

    def _show(self, utterance: _Utterance) -> None:
        text = utterance.agreement.shown
        if has_words(text) and text != utterance.told and utterance is self._utterance:
            utterance.told = text
            self._tell(WordsHeard(text, False, utterance.began, utterance.ended))

    def _cut(self, utterance: _Utterance) -> None:
        """Split an utterance that is too long where speech is least likely; go on with the rest."""
        recent = utterance.odds[-_CUT_WITHIN:]
        at = len(utterance.odds) - len(recent) + int(np.argmin(recent)) + 1
        rest, odds = utterance.windows[at:], utterance.odds[at:]
        utterance.windows, utterance.odds = utterance.windows[:at], utterance.odds[:at]
        utterance.voice = min(utterance.voice, at)
        self._end_utterance(utterance)
        if rest:
            self._utterance = _Utterance(utterance.began + at * WINDOW, rest, odds)

    def _end_utterance(self, utterance: _Utterance) -> None:
        self._utterance = None
        self._voice_ended = utterance.ended
        self._before.extend(
            zip(utterance.windows[-_OVERLAP:], utterance.odds[-_OVERLAP:], strict=True)
        )
        if utterance.decoding is not None:
            utterance.decoding.cancel()
        self._finals = asyncio.create_task(self._final(utterance, self._finals))

    async def _final(self, utterance: _Utterance, before: asyncio.Task[None] | None) -> None:
        """Report the final words, after those of earlier utterances."""
        if utterance.guess is not None and utterance.guessed_voice == utterance.voice:
            text = await utterance.guess
        else:
            text = await self._decode(utterance.sound(), True)
        if before is not None:
            await asyncio.wait({before})
        # Words already shown need a final, or their interim would stay open forever.
        text = text if has_words(text) else utterance.text
        if has_words(text):
            self._asks_for_more = asks_for_more(text)
            self._tell(WordsHeard(text, True, utterance.began, utterance.ended))
        is_last = self._finals is asyncio.current_task() and self._utterance is None
        if is_last and not self._asks_for_more:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._turn_open:
            self._turn_open = False
            self._asks_for_more = False
            self._tell(TurnEnded(self._voice_ended))
