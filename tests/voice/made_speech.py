"""Synthetic speech: it can be decoded exactly, and costs nothing.

Each word is a stretch of sound with its own level. The decoder reads words from levels; the
detector takes loud sound for speech; the voice speaks in the same way. So a test can read the words
in any sound, on either side. Everything between them is the shipped agent.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit.agents import tts

from agent.answers import Responder
from agent.conversation import Minds
from agent.speech.decoders import Decoders, Sound
from agent.speech.hibari_voice import SAMPLE_RATE as VOICE_RATE
from agent.speech.hibari_voice import HibariVoice, SynthesisedSpeech
from agent.speech.recogniser import LocalRecogniser
from agent.speech.segmenter import Pcm
from tests.speech.recordings import RATE

WORD_S: Final = 0.25
"""Seconds per word."""
_SOUNDS: Final = 0.9
"""The part of a word that is not silent; the rest separates two equal words."""
_IS_HEARD: Final = 0.35
"""The part of a word that must be heard, as in `agent.speaking.playout`."""
_QUIET: Final = 1_000
_STEP: Final = 16

_words: list[str] = []
"""A word's index determines its level."""


def spoken(text: str, rate: int = RATE) -> npt.NDArray[np.int16]:
    """Return the sound of a text."""
    size = round(WORD_S * rate)
    sound = np.zeros((len(text.split()), size), np.int16)
    for place, word in zip(sound, text.split(), strict=True):
        place[: round(_SOUNDS * size)] = _level(word)
    return sound.reshape(-1)


def words_in(sound: npt.NDArray[np.int16], rate: int = RATE) -> str:
    """Return the text of this sound; a partial word counts once enough of it is there."""
    return " ".join(_read(sound, round(_IS_HEARD * _SOUNDS * WORD_S * rate)))


def _level(word: str) -> int:
    if word not in _words:
        _words.append(word)
    return _QUIET + _STEP * (_words.index(word) + 1)


def _read(sound: npt.NDArray[np.int16], enough: int) -> Iterator[str]:
    ends = np.flatnonzero(np.diff(sound)) + 1
    for stretch in np.split(sound, ends):
        if len(stretch) > enough and stretch[0] > _QUIET:
            yield _words[(int(stretch[0]) - _QUIET) // _STEP - 1]


class _Decoder:
    """Reads words from levels."""

    def decode(self, sound: Sound) -> str:
        return words_in(np.rint(sound * 32_768).astype(np.int16))


class _Detector:
    """Takes loud sound for speech."""

    def predict(self, pcm: Pcm) -> float:
        return 1.0 if np.abs(pcm).max() > _QUIET // 2 else 0.0


class MadeVoice(HibariVoice):
    """The shipped voice with synthetic sound."""

    def __init__(self) -> None:
        # Skip the shipped constructor, which loads a model.
        tts.TTS.__init__(
            self,
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=VOICE_RATE,
            num_channels=1,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice")

    def speak(self, sentence: str) -> SynthesisedSpeech:
        """Return the sentence's sound, with the position of each word."""
        words, size = sentence.split(), round(WORD_S * VOICE_RATE)
        places = [
            (f"{word} ", number * size, round((number + _SOUNDS) * size))
            for number, word in enumerate(words)
        ]
        return SynthesisedSpeech(spoken(sentence, VOICE_RATE).tobytes(), places)


def made_minds() -> Minds:
    """Return the shipped agent with a synthetic recogniser and voice."""
    hears = LocalRecogniser(Decoders(_Decoder, 2), _Detector, model="made", language="en")
    return Minds(Responder(), hears, MadeVoice())
