"""The person's loudspeaker: counts sound as heard in real time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

RATE: Final = 24_000
LOUD: Final = 300
"""A louder sample (of 32,767) is voice, not a codec's rendering of silence."""
PAUSE_S: Final = 1.0
"""Longer than the voice pauses between two sentences."""


@dataclass(eq=False)
class Reply:
    """A spoken reply, as received and as heard."""

    playout: str
    began: float
    sound: bytearray = field(default_factory=bytearray)
    """All sound received."""
    first_sound: float | None = None
    samples: int = 0
    """The number of samples heard."""
    length: int | None = None
    """The total number of samples, once the agent has reported it."""
    silent_since: float | None = None
    """When the reply was stopped; in a room, which has no stop message, when its last sound was
    heard."""

    @property
    def heard(self) -> bytes:
        """The part that was heard."""
        return bytes(self.sound[: 2 * self.samples])

    @property
    def first_voice(self) -> float | None:
        """When the first sound that is not silence was heard."""
        if self.first_sound is None:
            return None
        loud = np.flatnonzero(_is_loud(bytes(self.sound[: len(self.sound) // 2 * 2])))
        return self.first_sound + int(loud[0]) / RATE if len(loud) else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more of the reply will be heard."""
        return self.silent_since is not None or self.length == self.samples


class Player:
    """Plays replies one after another.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.replies: list[Reply] = []
        self.stalled = 0.0
        """Seconds for which an incomplete reply had nothing to play."""
        self._since: float | None = None
        self._dry: float | None = None

    @property
    def is_silent(self) -> bool:
        return all(reply.is_over for reply in self.replies)

    def begin(self, playout: str) -> None:
        self.replies.append(Reply(playout, self._clock()))

    def add(self, sound: bytes) -> None:
        assert self.replies, "sound came before any reply began"
        reply = self.replies[-1]
        assert reply.silent_since is None, "sound of a reply came after it was cleared"
        if reply.first_sound is None:
            reply.first_sound = self._clock()
        self.advance()
        reply.sound += sound
        if self._since is None:
            self._since = self._clock()
            if self._dry is not None and len(reply.sound) > len(sound):
                self.stalled += self._since - self._dry
        self._dry = None

    def end(self, playout: str, length: int) -> None:
        reply = self.reply(playout)
        assert len(reply.sound) == 2 * length, "as many samples came as the agent says there are"
        reply.length = length

    def clear(self, playout: str) -> Reply:
        self.advance()
        reply = self.reply(playout)
        reply.silent_since = self._clock()
        return reply

    def stop(self) -> None:
        """Stop playing: the connection is closed."""
        for reply in self.replies:
            if not reply.is_over:
                self.clear(reply.playout)

    def reply(self, playout: str) -> Reply:
        return next(reply for reply in self.replies if reply.playout == playout)

    def advance(self) -> None:
        """Count the samples heard since the last call."""
        if self._since is None:
            return
        samples = int((self._clock() - self._since) * RATE)
        self._since += samples / RATE
        for reply in self.replies:
            waiting = 0 if reply.silent_since is not None else len(reply.sound) // 2 - reply.samples
            taken = min(samples, waiting)
            reply.samples += taken
            samples -= taken
        if samples:
            # The buffer ran dry: the next sound starts when it arrives.
            self._dry = self._since - samples / RATE
            self._since = None


class RoomPlayer:
    """Finds replies in continuous sound without begin and end markers, as in a room.

    Args:
        clock: monotonic seconds.
        is_speaking: whether the agent reports that it speaks; while it does, silence is a pause,
            however long a busy machine makes it.
    """

    def __init__(self, clock: Callable[[], float], is_speaking: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_speaking = is_speaking
        self.replies: list[Reply] = []
        self._paused = 0
        """Samples of silence at the end of the current reply."""
        self._last_voice = 0.0

    @property
    def is_silent(self) -> bool:
        return all(reply.is_over for reply in self.replies)

    def add(self, sound: bytes) -> None:
        """Take sound that is heard now."""
        now = self._clock()
        loud = np.flatnonzero(_is_loud(sound))
        if len(loud):
            self._last_voice, self._paused = now, 0
            if self.is_silent:
                self.replies.append(Reply(f"reply {len(self.replies)}", now, first_sound=now))
        else:
            self._paused += len(sound) // 2
        if self.is_silent:
            return
        reply = self.replies[-1]
        reply.sound += sound
        reply.samples = len(reply.sound) // 2
        if self._paused > PAUSE_S * RATE and not self._is_speaking():
            self.stop()

    def stop(self) -> None:
        """End the current reply."""
        if self.is_silent:
            return
        reply = self.replies[-1]
        reply.silent_since = self._last_voice
        del reply.sound[len(reply.sound) - 2 * self._paused :]
        reply.samples = len(reply.sound) // 2
        self._paused = 0


def _is_loud(sound: bytes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found: np.ndarray[tuple[int], np.dtype[np.bool_]]
    found = np.abs(np.frombuffer(sound, "<i2").astype(np.int32)) > LOUD
    return found
