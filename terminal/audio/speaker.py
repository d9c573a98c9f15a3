"""Loudspeakers: the machine's, and one that only keeps time, for machines without."""

import importlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from terminal.audio.playouts import SAMPLE_RATE, WIDTH, Playouts, Taken

_BLOCK: Final = 480
"""Samples that the sound card requests at once: 20 ms."""


class Speaker(Protocol):
    """Plays its playouts; `advance` counts what has been heard so far."""

    playouts: Playouts

    def advance(self) -> None:
        """Update the counts of what has been heard."""

    def cut(self, playout: str) -> None:
        """Stop playing this reply now."""

    def close(self) -> None:
        """Release the device."""

    @property
    def is_silent(self) -> bool:
        """Whether everything has been heard."""
        ...


class ClockSpeaker:
    """Plays nothing, but counts audio as heard in real time.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.playouts = Playouts()
        self._clock = clock
        self._since: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether everything has been heard."""
        return self.playouts.is_empty

    def advance(self) -> None:
        """Count as heard what would have been played since the last call."""
        now = self._clock()
        if self._since is None or not self.playouts.waiting:
            # Audio after a silence begins when it arrives, not when the silence began.
            self._since = now if self.playouts.waiting else None
            return
        samples = int((now - self._since) * SAMPLE_RATE)
        self._since += samples / SAMPLE_RATE
        for taken in self.playouts.take(samples)[1]:
            self.playouts.was_heard(taken)

    def cut(self, playout: str) -> None:
        """Stop at the current position."""
        self.advance()
        self.playouts.clear(playout)

    def close(self) -> None:
        """Do nothing: there is no device."""


class SoundCard:
    """Plays through the machine's sound card.

    A sample counts as heard when the card says that it leaves the loudspeaker, not when the card
    takes it. `cut` drops what is queued. What the card already holds (a few hundredths of a second)
    can't be stopped and will be heard, so it is counted at once.
    """

    def __init__(self, sounddevice: Any) -> None:
        self.playouts = Playouts()
        self._on_the_way: deque[tuple[float, Taken]] = deque()
        self._stream = sounddevice.RawOutputStream(
            samplerate=SAMPLE_RATE,
            channels=1,
            dtype="int16",
            blocksize=_BLOCK,
            latency="low",
            callback=self._wanted,
        )
        self._stream.start()

    @property
    def is_silent(self) -> bool:
        """Whether everything has been heard."""
        return self.playouts.is_empty and not self._on_the_way

    def advance(self) -> None:
        """Count what has left the loudspeaker."""
        self._count(self._stream.time)

    def cut(self, playout: str) -> None:
        """Stop as soon as the card allows."""
        self.playouts.clear(playout)
        # What the card holds will be heard in a moment.
        self._count(float("inf"))

    def close(self) -> None:
        """Stop and release the card."""
        self._stream.close()

    def _count(self, until: float) -> None:
        while self._on_the_way and self._on_the_way[0][0] <= until:
            self.playouts.was_heard(self._on_the_way.popleft()[1])

    def _wanted(self, out: Any, frames: int, times: Any, status: object) -> None:
        sound, taken = self.playouts.take(frames)
        at = times.outputBufferDacTime
        for part in taken:
            at += part.samples / SAMPLE_RATE
            self._on_the_way.append((at, part))
        out[:] = sound.ljust(frames * WIDTH, b"\0")


def open_speaker() -> Speaker:
    """Return the machine's loudspeaker, or one that only keeps time."""
    sounddevice = load_sounddevice()
    if sounddevice is not None:
        try:
            return SoundCard(sounddevice)
        # PortAudio raises its own error class when there is no device, or none for 24 kHz.
        except sounddevice.PortAudioError:
            pass
    return ClockSpeaker()


def load_sounddevice() -> Any | None:
    """Return the `sounddevice` module; None if it or the PortAudio library is missing."""
    try:
        return importlib.import_module("sounddevice")
    except (ImportError, OSError):
        return None
