"""The voice of hibari-tts, whose package includes the model (English, Apache-2.0, 24 kHz)."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from livekit.agents import tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, TimedString

SAMPLE_RATE: Final = 24_000
_SENTENCE_END: Final = re.compile(r"[.!?\u2026][\"\u201d\u2019)\]]*\s|\n")
_WORD: Final = re.compile(r"\s*\S+")
_QUIET: Final = 0.01
"""Amplitude, from 0 to 1, below which the voice counts as silent."""
_EACH_WORD: Final = 2.5
_EACH_PAUSE: Final = 6.0
"""Extra time, in phonemes, for each word and for a word before a comma. Fitted to when the
recogniser notices each word of eleven sentences; the error is 0.15 s (standard deviation)."""
_PAUSES: Final = (",", ";", ":", "\N{EM DASH}")

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SynthesisedSpeech:
    """A spoken piece of text: its samples, and the position of each word in them."""

    pcm: bytes
    words: list[tuple[str, int, int]]
    """Each word with the space before it, its first sample, and the sample after its last."""

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.pcm) // 2


class HibariVoice(tts.TTS[str]):
    """Synthesises speech in this process; one object serves any number of conversations."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
        )
        from hibari import Hibari

        self._hibari = Hibari(threads=1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice")
        # Warm up: the first words take half a second longer than all others, and a long sentence
        # grows the engine's memory to its usual size.
        self.speak(", ".join(["a sentence of many words that goes on and on"] * 3))

    @property
    def model(self) -> str:
        """The name of the model."""
        return "hibari"

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return "local"

    def speak(self, sentence: str) -> SynthesisedSpeech:
        """Synthesise a sentence; blocks for about a fiftieth of its duration."""
        phonemes: list[str] = self._hibari.phonemize(sentence)
        parts: list[Samples] = [self._hibari.from_phonemes(part) for part in phonemes]
        sound = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        pcm = (np.clip(sound, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        return SynthesisedSpeech(pcm, list(_aligned(sentence, " ".join(phonemes).split(), sound)))

    async def speak_aside(self, sentence: str) -> SynthesisedSpeech:
        """Synthesise a sentence without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.speak, sentence)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Synthesise a complete text."""
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "_SynthesizeStream":
        """Synthesise a text sentence by sentence while it is still being written."""
        return _SynthesizeStream(self, conn_options)

    async def aclose(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class _SynthesizeStream(tts.SynthesizeStream):
    def __init__(self, voice: HibariVoice, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=voice, conn_options=conn_options)
        self._voice = voice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid())
        text, samples = "", 0
        async for item in self._input_ch:
            text += item if isinstance(item, str) else ""
            while text.strip():
                sentence, text = split_sentence(text, whole=not isinstance(item, str))
                if not sentence:
                    break
                samples += await self._say(sentence, samples, output_emitter)
        while text.strip():
            sentence, text = split_sentence(text, whole=True)
            samples += await self._say(sentence, samples, output_emitter)
        output_emitter.end_segment()

    async def _say(self, sentence: str, before: int, emitter: tts.AudioEmitter) -> int:
        self._mark_started()
        spoken = await self._voice.speak_aside(sentence)
        if not spoken.samples:
            # None of it can be pronounced; it counts as heard together with the text before it.
            emitter.push_timed_transcript(_timed(sentence, before, before))
            return 0
        for word, began, ended in spoken.words:
            emitter.push_timed_transcript(_timed(word, before + began, before + ended))
        emitter.push(spoken.pcm)
        emitter.flush()
        return spoken.samples


def _timed(word: str, began: int, ended: int) -> TimedString:
    return TimedString(word, start_time=began / SAMPLE_RATE, end_time=ended / SAMPLE_RATE)


def split_sentence(text: str, *, whole: bool) -> tuple[str, str]:
    """Split off the first sentence, including the whitespace after it; return both parts.

    The first part is empty if the sentence may still go on, unless the text is `whole`.
    """
    start = len(text) - len(text.lstrip())
    for end in _SENTENCE_END.finditer(text, start):
        # Treat a short word with a period as an abbreviation ("Mr. "), unless it is a number.
        word = text[start : end.end()].split()[-1]
        if len(word) > 3 or word[-1] != "." or word[:-1].isdigit():
            return text[: end.end()], text[end.end() :]
    return (text, "") if whole else ("", text)


def _aligned(sentence: str, phonemes: list[str], sound: Samples) -> Iterator[tuple[str, int, int]]:
    """Estimate when each word is heard, by its share of the phonemes in the voiced part."""
    words = _WORD.findall(sentence)
    tail = sentence[sum(map(len, words)) :]
    if not words:
        return
    # Spoken numbers become several words; then use letters instead of phonemes.
    lengths = phonemes if len(phonemes) == len(words) else [word.strip() for word in words]
    weights = np.array(
        [
            sum(map(str.isalpha, length)) + _EACH_WORD + _EACH_PAUSE * word.endswith(_PAUSES)
            for length, word in zip(lengths, words, strict=True)
        ]
    )
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(sound))
    ends = first + np.cumsum(weights) / weights.sum() * (last - first)
    began = first
    for index, (word, end) in enumerate(zip(words, ends, strict=True)):
        is_last = index == len(words) - 1
        yield word + (tail if is_last else ""), began, int(end)
        began = int(end)


def load_voice() -> HibariVoice:
    """Load the model and warm it up."""
    return HibariVoice()
