"""Sources of the person's audio: a recording played in real time, or the microphone."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from terminal.audio.resample import Resampler
from terminal.audio.speaker import load_sounddevice
from terminal.audio.wav import SAMPLE_RATE, Recording, to_pcm

PIECE_S: Final = 0.04
PIECE: Final = int(SAMPLE_RATE * PIECE_S)
"""Samples sent at once."""
_SILENCE: Final = bytes(2 * PIECE)
_KEPT: Final = int(30 / PIECE_S)
"""Most pieces of the microphone's audio kept while the connection is lost: 30 s."""


class Source(Protocol):
    """Provides 16 kHz mono 16-bit audio in real time."""

    async def next(self) -> bytes:
        """Wait for the next piece."""
        ...

    def close(self) -> None:
        """Release the device."""


class Playback:
    """Plays a recording in real time, then silence, as an open microphone would.

    Args:
        recording: what to play.
        clock: returns monotonic seconds.
    """

    def __init__(self, recording: Recording, clock: Callable[[], float] = time.monotonic) -> None:
        self._pieces: Iterator[bytes] = recording.pcm(PIECE)
        self._clock = clock
        self._due: float | None = None
        self._plays = False
        self.ended = asyncio.Event()
        """Set when the recording is over."""

    def play(self) -> None:
        """Start the recording; until then there is silence."""
        self._plays = True

    async def next(self) -> bytes:
        """Wait until the next piece is due, and return it."""
        now = self._clock()
        if self._due is None:
            self._due = now
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += PIECE_S
        if not self._plays:
            return _SILENCE
        piece = next(self._pieces, b"")
        if not piece:
            self.ended.set()
        return piece.ljust(len(_SILENCE), b"\0")

    def close(self) -> None:
        """Do nothing: there is no device."""


class Microphone:
    """The machine's microphone, at whatever rate it offers."""

    def __init__(self, sounddevice: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._resampler: Resampler | None = None
        try:
            self._stream = self._opened(sounddevice, SAMPLE_RATE)
        except sounddevice.PortAudioError:
            # Many cards support only their own rate.
            rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
            self._resampler = Resampler(rate, SAMPLE_RATE)
            self._stream = self._opened(sounddevice, rate)
        self._stream.start()

    def _opened(self, sounddevice: Any, rate: int) -> Any:
        return sounddevice.RawInputStream(
            samplerate=rate,
            channels=1,
            dtype="int16",
            blocksize=int(rate * PIECE_S),
            callback=lambda sound, *_: self._loop.call_soon_threadsafe(self._take, bytes(sound)),
        )

    def _take(self, sound: bytes) -> None:
        if self._resampler is not None:
            samples = memoryview(sound).cast("h")
            sound = to_pcm(self._resampler.push(value / 32_768 for value in samples))
        if not sound:
            return
        if self._pieces.qsize() >= _KEPT:
            self._pieces.get_nowait()
        self._pieces.put_nowait(sound)

    async def next(self) -> bytes:
        """Wait for the next piece of audio."""
        return await self._pieces.get()

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()


class Nothing:
    """No audio at all: the person types."""

    async def next(self) -> bytes:
        """Never return."""
        never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        return await never

    def close(self) -> None:
        """Do nothing: there is no device."""


def open_microphone() -> Microphone | None:
    """Return the machine's microphone, if it has one."""
    sounddevice = load_sounddevice()
    if sounddevice is None:
        return None
    try:
        return Microphone(sounddevice)
    # PortAudio raises its own error classes when there is no device at all.
    except (sounddevice.PortAudioError, ValueError):
        return None
