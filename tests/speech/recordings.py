"""Real speech from Debian's pocketsphinx-testdata, read from where it is installed."""

import re
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

DATA: Final = Path("/usr/share/pocketsphinx/test/data")
RATE: Final = 16_000
_LINE: Final = re.compile(r"<s> (.*?) *</s> \((.*)\)")


@dataclass(frozen=True)
class Clip:
    """A recording at 16,000 samples a second, and its words."""

    name: str
    words: str
    pcm: npt.NDArray[np.int16]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE

    @property
    def voice_ends(self) -> float:
        """Seconds to the end of the last 20 ms that are louder than a hundredth of full scale."""
        frame = RATE // 50
        sound = self.pcm[: len(self.pcm) // frame * frame].astype(np.float64) / 32_768
        loud = np.sqrt((sound.reshape(-1, frame) ** 2).mean(axis=1)) > 0.01
        return float(np.flatnonzero(loud)[-1] + 1) / 50


@cache
def sentences() -> tuple[Clip, ...]:
    """Five sentences of 3 to 7 seconds, read by a LibriVox volunteer."""
    return _clips("librivox", "transcription")


@cache
def cards() -> tuple[Clip, ...]:
    """Five names of playing cards, of 1 to 4 seconds."""
    return _clips("cards", "cards.transcription")


def plain(text: str) -> str:
    """Return a text like the references: lower-case words without punctuation."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text).split())


def silence(seconds: float) -> npt.NDArray[np.int16]:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE), np.int16)


def _clips(folder: str, transcription: str) -> tuple[Clip, ...]:
    found = []
    for line in (DATA / folder / transcription).read_text().splitlines():
        match = _LINE.match(line)
        assert match is not None, line
        with wave.open(str(DATA / folder / f"{match[2]}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        found.append(Clip(match[2], match[1], pcm))
    return tuple(found)
