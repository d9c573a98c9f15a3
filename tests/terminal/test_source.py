"""The person's sound comes in real time from any device."""

import array
import asyncio
import math
import threading
from typing import Any

import pytest

from terminal.audio import source, speaker
from terminal.audio.source import PIECE, Microphone, open_microphone
from terminal.audio.speaker import ClockSpeaker, SoundCard, open_speaker


class _PortAudioError(Exception):
    """Like the real module's error, it has no more specific base class."""


class _Devices:
    """A double of the `sounddevice` module, the edge to the hardware."""

    PortAudioError = _PortAudioError

    def __init__(self, *rates: int) -> None:
        self.rates = rates
        self.opened: list[int] = []

    def RawInputStream(self, *, samplerate: int, callback: Any, **_: Any) -> "_Devices":
        if samplerate not in self.rates:
            raise _PortAudioError("Invalid sample rate")
        self.opened.append(samplerate)
        self.callback = callback
        return self

    def RawOutputStream(self, *, samplerate: int, **_: Any) -> "_Devices":
        if samplerate not in self.rates:
            raise _PortAudioError("Invalid sample rate")
        return self

    def query_devices(self, kind: str) -> dict[str, float]:
        if not self.rates:
            raise _PortAudioError("No default input device")
        return {"default_samplerate": float(self.rates[0])}

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def picks_up(self, samples: list[int]) -> None:
        """Call back from a separate thread, as PortAudio does."""
        sound = array.array("h", samples).tobytes()
        thread = threading.Thread(target=self.callback, args=(sound, len(samples), None, None))
        thread.start()
        thread.join()


async def test_a_microphone_at_our_rate_is_taken_as_it_is() -> None:
    """Its samples arrive unchanged."""
    devices = _Devices(16_000)
    microphone = Microphone(devices)
    devices.picks_up([1, 2, 3] * 100)
    assert await microphone.next() == array.array("h", [1, 2, 3] * 100).tobytes()
    microphone.close()


async def test_a_microphone_at_its_own_rate_is_resampled() -> None:
    """A card that supports only 48 kHz works."""
    devices = _Devices(48_000)
    microphone = Microphone(devices)
    tone = [round(9_000 * math.sin(2 * math.pi * 440 * n / 48_000)) for n in range(4_800)]
    devices.picks_up(tone)
    heard = memoryview(await microphone.next()).cast("h")
    assert 1_500 < len(heard) <= 1_600
    expected = [9_000 * math.sin(2 * math.pi * 440 * n / 16_000) for n in range(len(heard))]
    middle = range(200, len(heard) - 200)
    assert max(abs(heard[n] - expected[n]) for n in middle) < 20


async def test_without_a_microphone_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a missing device nor a missing library is an error: people can type."""
    monkeypatch.setattr(source, "load_sounddevice", _Devices)
    assert open_microphone() is None
    monkeypatch.setattr(source, "load_sounddevice", lambda: None)
    assert open_microphone() is None


def test_without_a_loudspeaker_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a loudspeaker the conversation goes on silently."""
    monkeypatch.setattr(speaker, "load_sounddevice", _Devices)
    assert isinstance(open_speaker(), ClockSpeaker)
    monkeypatch.setattr(speaker, "load_sounddevice", lambda: _Devices(24_000))
    assert isinstance(open_speaker(), SoundCard)


async def test_what_nobody_takes_is_bounded() -> None:
    """During a disconnect the newest 30 s are kept and older sound is dropped."""
    devices = _Devices(16_000)
    microphone = Microphone(devices)
    for number in range(1_000):
        microphone._take(array.array("h", [number] * PIECE).tobytes())
    await asyncio.sleep(0)
    first = memoryview(await microphone.next()).cast("h")[0]
    assert first == 250
