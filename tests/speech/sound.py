"""Sound for the agent: real recordings, synthesized sentences, and noises."""

import random
import re
import wave
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
RECORDINGS: Final = Path("/usr/share/pocketsphinx/test/data/librivox")
"""From Debian's `pocketsphinx-testdata`: "Sense and Sensibility", read aloud for LibriVox."""

Pcm = npt.NDArray[np.int16]

_COMMON: Final = Path(__file__).with_name("common_words.txt")


@dataclass(frozen=True, eq=False)
class Clip:
    """A spoken text and its sound."""

    name: str
    text: str
    pcm: Pcm
    """16 kHz mono."""

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.pcm) / RATE

    @property
    def voice(self) -> tuple[int, int]:
        """The first sample of voice, and the one after the last."""
        return voiced(self.pcm)

    def trimmed(self) -> "Clip":
        """Return the clip without the silence at both ends."""
        began, ended = self.voice
        return Clip(self.name, self.text, self.pcm[began:ended])


class Recording(Clip):
    """A recording of read speech, which is read when it is first used.

    `make check` collects the tests before `make test` installs the recordings.
    """

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    @cached_property
    def _clip(self) -> Clip:
        return next(clip for clip in recordings() if clip.name == self.name)

    @property
    def text(self) -> str:
        """See `Clip`."""
        return self._clip.text

    @property
    def pcm(self) -> Pcm:
        """See `Clip`."""
        return self._clip.pcm


@cache
def recordings() -> tuple[Clip, ...]:
    """Return the five recordings of read speech with their texts."""
    assert RECORDINGS.is_dir(), "missing: sudo apt-get install pocketsphinx-testdata"
    found = []
    for line in (RECORDINGS / "transcription").read_text().splitlines():
        match = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line)
        assert match, line
        found.append(Clip(match[2][-4:], match[1], read_wav(RECORDINGS / f"{match[2]}.wav")))
    # The transcription of "a more amiable woman" has an extra "a".
    return tuple(
        Clip(clip.name, clip.text.replace("a more a amiable", "a more amiable"), clip.pcm)
        for clip in found
    )


def recording(name: str) -> Clip:
    """Return a recording by the end of its name."""
    return Recording(name)


def read_wav(path: Path) -> Pcm:
    """Read a 16 kHz mono 16-bit file."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").copy()


def write_wav(path: Path, pcm: Pcm, rate: int = RATE) -> Path:
    """Write 16-bit mono sound."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


def random_words(seed: int, count: int = 9) -> Clip:
    """Say common words in an order that no model was trained on."""
    words = random.Random(seed).sample(_COMMON.read_text().split(), count)
    text = " ".join(words)
    # Commas keep the voice from running words together, but are too short to end a sentence.
    return spoken(f"random words, seed {seed}", text, ", ".join(words).capitalize() + ".")


def spoken(name: str, text: str, written: str | None = None) -> Clip:
    """Say a text with the agent's own voice."""
    sound = np.concatenate(list(_voice().stream(written or text)))
    return Clip(name, text, resampled(_pcm(sound), 24_000))


@cache
def _voice() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


def resampled(pcm: Pcm, rate: int) -> Pcm:
    """Resample to 16 kHz: remove the frequencies that would alias, then interpolate."""
    count = len(pcm) * RATE // rate
    spectrum = np.fft.rfft(pcm.astype(np.float64))
    kept = spectrum[: count // 2 + 1]
    return _clipped(np.fft.irfft(kept, count) * (count / len(pcm)))


def voiced(pcm: Pcm) -> tuple[int, int]:
    """Return the first sample and the one after the last within 30 dB of the loudest part."""
    window = RATE // 50
    frames = pcm[: len(pcm) // window * window].astype(np.float64).reshape(-1, window)
    energy = (frames**2).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 1e-3)
    return int(loud[0]) * window, (int(loud[-1]) + 1) * window


def silence(seconds: float) -> Pcm:
    """Return silence."""
    return np.zeros(int(seconds * RATE), np.int16)


def noises(seconds: float) -> dict[str, Pcm]:
    """Return sounds that a microphone picks up without speech."""
    count = int(seconds * RATE)
    made = np.random.default_rng(1)
    time = np.arange(count) / RATE
    white = made.standard_normal(count)
    spectrum = np.fft.rfft(made.standard_normal(count))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), count)
    hum = sum(np.sin(2 * np.pi * 50 * n * time) / n for n in (1, 2, 3, 5))
    clicks = np.zeros(count)
    clicks[made.integers(0, count, int(4 * seconds))] = 1
    clicks = np.convolve(clicks, np.exp(-np.arange(64) / 8), "same")
    sounds = {
        "white noise": 0.05 * white,
        "pink noise": 0.1 * pink / pink.std(),
        "hum": 0.1 * hum,
        "clicks": 0.8 * clicks,
        "silence": np.zeros(count),
    }
    return {name: _pcm(sound) for name, sound in sounds.items()}


def _pcm(sound: npt.NDArray[np.floating]) -> Pcm:
    return _clipped(np.asarray(sound, np.float64) * 32_767)


def _clipped(sound: npt.NDArray[np.float64]) -> Pcm:
    return np.clip(np.round(sound), -32_768, 32_767).astype(np.int16)
