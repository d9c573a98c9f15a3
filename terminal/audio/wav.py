"""Reads WAV files of any rate, width and number of channels as audio for `/audio`."""

import array
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminal.audio.resample import Resampler
from terminal.refusal import CannotTalk

SAMPLE_RATE: Final = 16_000
"""Samples per second of a person's audio on `/audio`."""
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_COMPRESSED: Final = {2: "ADPCM", 6: "A-law", 7: "µ-law", 0x11: "ADPCM", 0x55: "MP3"}
_STREAMED: Final = (0, 0xFFFFFFFF)
"""Sizes written by programs that did not know yet how long the audio would be."""


@dataclass(frozen=True, slots=True)
class _Format:
    kind: int
    channels: int
    rate: int
    bits: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that can be played."""

    _format: _Format
    _data: memoryview

    @property
    def seconds(self) -> float:
        """The duration of the recording."""
        return len(self._data) / self._format.frame / self._format.rate

    def pcm(self, size: int) -> Iterator[bytes]:
        """Yield 16 kHz mono 16-bit little-endian audio in pieces of `size` samples."""
        resampler = Resampler(self._format.rate, SAMPLE_RATE)
        stride = self._format.frame * max(1, self._format.rate // 10)
        made: list[float] = []
        for start in range(0, len(self._data), stride):
            made += resampler.push(_mono(self._data[start : start + stride], self._format))
            while len(made) >= size:
                yield to_pcm(made[:size])
                del made[:size]
        made += resampler.flush()
        for start in range(0, len(made), size):
            yield to_pcm(made[start : start + size])


def read(path: Path) -> Recording:
    """Open a WAV file.

    Raises:
        CannotTalk: when the file is not a WAV file that can be read; the message says why.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CannotTalk(f"{path} can't be read: {error.strerror}.") from None
    try:
        return _parse(data)
    except ValueError as error:
        raise CannotTalk(
            f"{path} {error}. Make a WAV file of it first, for example:  "
            f"ffmpeg -i {path.name} -ac 1 -ar 16000 {path.stem}-16k.wav"
        ) from None


def to_pcm(samples: Sequence[float]) -> bytes:
    """Convert samples from -1 to 1 to 16-bit little-endian audio; clip louder ones."""
    values = (max(-32_768, min(32_767, round(sample * 32_768))) for sample in samples)
    return _little(array.array("h", values)).tobytes()


def _parse(data: bytes) -> Recording:
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"is not a WAV file ({_looks_like(data)})")
    form: _Format | None = None
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        place += 8
        if name == b"fmt ":
            form = _format(data[place : place + size])
        elif name == b"data":
            if form is None:
                raise ValueError("is a broken WAV file: its sound comes before its format")
            end = len(data) if size in _STREAMED else min(place + size, len(data))
            whole = (end - place) // form.frame * form.frame
            if not whole:
                raise ValueError("has no sound in it")
            return Recording(form, memoryview(data)[place : place + whole])
        place += size + size % 2
    raise ValueError("is a broken WAV file: it ends before its sound")


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise ValueError("is a broken WAV file: its format is cut off")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE and len(chunk) >= 26:
        kind = struct.unpack_from("<H", chunk, 24)[0]
    if (kind, bits) not in _READERS:
        told = _COMPRESSED.get(kind, f"format {kind} with {bits} bits")
        raise ValueError(f"holds sound of a kind that can't be read here ({told})")
    if not 1 <= channels <= 64 or not 1_000 <= rate <= 768_000:
        raise ValueError(f"can't be right: {channels} channels, {rate} samples a second")
    return _Format(kind, channels, rate, bits)


def _looks_like(data: bytes) -> str:
    kinds = {
        b"ID3": "it looks like MP3",
        b"\xff\xfb": "it looks like MP3",
        b"OggS": "it looks like Ogg",
        b"fLaC": "it looks like FLAC",
        b"FORM": "it looks like AIFF",
        b"RF64": "it is RF64, for files over 4 GiB",
    }
    if not data:
        return "it is empty"
    return next((told for start, told in kinds.items() if data.startswith(start)), "no RIFF header")


def _mono(data: memoryview, form: _Format) -> list[float]:
    samples = _READERS[form.kind, form.bits](data)
    if form.channels == 1:
        return samples
    count = form.channels
    return [sum(together) / count for together in zip(*[iter(samples)] * count, strict=True)]


def _unsigned(data: memoryview) -> list[float]:
    return [(value - 128) / 128 for value in data]


def _wide(data: memoryview) -> list[float]:
    """Read 24-bit samples as the high bytes of 32-bit ones."""
    padded = bytearray(len(data) // 3 * 4)
    for index in range(3):
        padded[index + 1 :: 4] = data[index::3]
    return _signed("i", 32)(memoryview(padded))


def _signed(code: str, bits: int) -> Callable[[memoryview], list[float]]:
    scale = 1 / 2 ** (bits - 1)

    def reader(data: memoryview) -> list[float]:
        return [value * scale for value in _little(array.array(code, bytes(data)))]

    return reader


def _floats(code: str) -> Callable[[memoryview], list[float]]:
    def reader(data: memoryview) -> list[float]:
        values = _little(array.array(code, bytes(data)))
        return [value if -8 < value < 8 else 0.0 for value in values]

    return reader


def _little(values: "array.array[int]") -> "array.array[int]":
    if sys.byteorder == "big":
        values.byteswap()
    return values


_READERS: Final[dict[tuple[int, int], Callable[[memoryview], list[float]]]] = {
    (_PCM, 8): _unsigned,
    (_PCM, 16): _signed("h", 16),
    (_PCM, 24): _wide,
    (_PCM, 32): _signed("i", 32),
    (_FLOAT, 32): _floats("f"),
    (_FLOAT, 64): _floats("d"),
}
