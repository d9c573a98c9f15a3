"""Recordings of every kind are converted to the sound that `/audio` takes."""

import array
import math
import struct
from pathlib import Path

import pytest

from terminal.audio.resample import Resampler
from terminal.audio.wav import SAMPLE_RATE, read
from terminal.refusal import CannotTalk

TONE_HZ = 440
SECONDS = 0.5


def _tone(rate: int, seconds: float = SECONDS, hertz: float = TONE_HZ) -> list[float]:
    return [0.5 * math.sin(2 * math.pi * hertz * n / rate) for n in range(int(rate * seconds))]


def _wav(
    samples: bytes, kind: int, channels: int, rate: int, bits: int, extra: bytes = b""
) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    # A chunk of odd length that no reader knows, as some programs write it.
    chunks += b"note" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _encoded(tone: list[float], bits: int, kind: int) -> bytes:
    if kind == 3:
        return array.array("f" if bits == 32 else "d", tone).tobytes()
    if bits == 8:
        return bytes(round(128 + 127 * sample) for sample in tone)
    whole = [round(sample * (2 ** (bits - 1) - 1)) for sample in tone]
    return b"".join(value.to_bytes(bits // 8, "little", signed=True) for value in whole)


def _played(path: Path) -> list[float]:
    pcm = b"".join(read(path).pcm(640))
    return [value / 32_768 for value in memoryview(pcm).cast("h")]


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
def test_a_tone_stays_the_same_tone(tmp_path: Path, rate: int, bits: int, kind: int) -> None:
    """It sounds the same at 16 kHz, whatever its original rate and width."""
    path = tmp_path / "tone.wav"
    path.write_bytes(_wav(_encoded(_tone(rate), bits, kind), kind, 1, rate, bits))

    heard = _played(path)

    expected = _tone(SAMPLE_RATE)
    assert abs(len(heard) - len(expected)) <= 3
    middle = slice(400, len(expected) - 400)
    worst = max(abs(a - b) for a, b in zip(heard[middle], expected[middle], strict=True))
    assert worst < (0.02 if bits == 8 else 0.002)


def test_channels_are_mixed(tmp_path: Path) -> None:
    """Two channels become their mean, not one of them and not a tone of twice the length."""
    left = _tone(16_000)
    both = [sample for value in left for sample in (value, 0.0)]
    path = tmp_path / "stereo.wav"
    path.write_bytes(_wav(_encoded(both, 16, 1), 1, 2, 16_000, 16))

    heard = _played(path)

    assert len(heard) == len(left)
    assert max(abs(a - b / 2) for a, b in zip(heard, left, strict=True)) < 0.001


def test_an_extensible_header_is_read(tmp_path: Path) -> None:
    """Modern recorders write this header, which names the real format in a later field."""
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    extra = struct.pack("<HHI", 22, 16, 4) + guid
    path = tmp_path / "extensible.wav"
    path.write_bytes(_wav(_encoded(_tone(16_000), 16, 1), 0xFFFE, 1, 16_000, 16, extra))

    assert len(_played(path)) == 8_000


def test_a_streamed_file_is_read_to_its_end(tmp_path: Path) -> None:
    """A program that writes into a pipe doesn't know the size and writes the largest one."""
    data = bytearray(_wav(_encoded(_tone(16_000), 16, 1), 1, 1, 16_000, 16))
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    path = tmp_path / "streamed.wav"
    path.write_bytes(data)

    recording = read(path)

    assert recording.seconds == SECONDS


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"ID3\x04 and so on, an MP3 file", "it looks like MP3"),
        (b"OggS and so on, at some length", "it looks like Ogg"),
        (b"just some text, nothing to hear", "no RIFF header"),
        (_wav(b"\0" * 8, 0x55, 1, 44_100, 16), "MP3"),
        (_wav(b"\0" * 8, 7, 1, 8_000, 8), "µ-law"),
        (_wav(b"\0" * 8, 1, 0, 8_000, 16), "0 channels"),
        (_wav(b"\0" * 8, 1, 1, 5, 16), "5 samples a second"),
        (_wav(b"", 1, 1, 8_000, 16), "no sound in it"),
        (_wav(b"\0" * 8, 1, 1, 8_000, 16)[:30], "format is cut off"),
        (_wav(b"\0" * 8, 1, 1, 8_000, 16)[:40], "ends before its sound"),
    ],
)
def test_what_is_no_wav_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """The message names the file, says what it is, and how to convert it to WAV."""
    path = tmp_path / "thing.wav"
    path.write_bytes(content)

    with pytest.raises(CannotTalk) as refused:
        read(path)

    assert told in str(refused.value)
    assert str(path) in str(refused.value)
    assert "ffmpeg -i thing.wav" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The message has the system's reason."""
    with pytest.raises(CannotTalk, match="No such file"):
        read(tmp_path / "nothing.wav")


def test_what_16_khz_cannot_carry_is_left_out() -> None:
    """A tone over 8 kHz would alias to a lower one; it becomes silence instead."""
    heard = Resampler(48_000, 16_000).push(_tone(48_000, hertz=9_500))

    assert max(map(abs, heard[400:])) < 0.001


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_pieces_sound_like_the_whole(rate: int) -> None:
    """The output is the same however the input is cut."""
    tone = _tone(rate, 0.1)
    whole = Resampler(rate, 16_000).push(tone)

    cut = Resampler(rate, 16_000)
    made = [
        sample for start in range(0, len(tone), 7) for sample in cut.push(tone[start : start + 7])
    ]

    assert made == whole
