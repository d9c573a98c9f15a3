"""The person's loudspeaker: takes sound as heard at the pace at which it would be."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

RATE: Final = 24_000


@dataclass(eq=False)
class Reply:
    """One spoken reply as it arrived and as it was heard."""

    playout: str
    began: float
    sound: bytearray = field(default_factory=bytearray)
    """All that came."""
    first_sound: float | None = None
    samples: int = 0
    """How many samples of it have been heard."""
    length: int | None = None
    """How many the agent says there are, once it has said so."""
    cleared: float | None = None
    """When it was told to stop."""

    @property
    def heard(self) -> bytes:
        """What was heard of it."""
        return bytes(self.sound[: 2 * self.samples])

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it will be heard."""
        return self.cleared is not None or self.length == self.samples


class Player:
    """Plays replies one after another.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.replies: list[Reply] = []
        self.stalled = 0.0
        """Seconds for which a reply that was not complete had nothing to play."""
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
        assert reply.cleared is None, "sound of a reply came after it was cleared"
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
        reply.cleared = self._clock()
        return reply

    def reply(self, playout: str) -> Reply:
        return next(reply for reply in self.replies if reply.playout == playout)

    def advance(self) -> None:
        """Count what has been heard since the last time."""
        if self._since is None:
            return
        samples = int((self._clock() - self._since) * RATE)
        self._since += samples / RATE
        for reply in self.replies:
            waiting = 0 if reply.cleared is not None else len(reply.sound) // 2 - reply.samples
            taken = min(samples, waiting)
            reply.samples += taken
            samples -= taken
        if samples:
            # It ran dry: what comes next begins when it comes.
            self._dry = self._since - samples / RATE
            self._since = None
