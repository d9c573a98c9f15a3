"""The person's microphone: silence with clips in it, in real time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from tests.speech.sound import RATE, Clip, Pcm, silence

PIECE_S: Final = 0.02
PIECE: Final = int(RATE * PIECE_S)


@dataclass(eq=False)
class Said:
    """A queued clip, with the times at which its samples and its voice start and end."""

    clip: Clip
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    began: float = float("inf")
    """Infinite until the first sample is picked up."""

    @property
    def voice_began(self) -> float:
        return self.began + self.clip.voice[0] / RATE

    @property
    def voice_ended(self) -> float:
        return self.began + self.clip.voice[1] / RATE


class Microphone:
    """Plays one clip after another.

    Args:
        ahead_s: seconds by which pieces are handed over early, for a sender that keeps time better
            than a busy event loop.
    """

    def __init__(self, ahead_s: float = 0.0) -> None:
        self.ahead_s = ahead_s
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[Said, int]] = []

    def say(self, clip: Clip) -> Said:
        """Queue a clip behind the current one; `done` is set once its last sample is picked up."""
        said = Said(clip)
        self._queue.append((said, 0))
        return said

    def forget(self) -> None:
        """Discard what has not been said yet."""
        self._queue.clear()

    async def pieces(self) -> AsyncIterator[Pcm]:
        """Yield the sound in pieces, each when its last sample is due."""
        began, picked_up = self._loop.time(), 0
        while True:
            now, next_sample = self._loop.time(), began + picked_up / RATE
            if self.ahead_s and now >= next_sample:
                # At the start, and whenever this loop was so late that the sender ran dry.
                yield silence(self.ahead_s)
                self._delay(now + self.ahead_s - next_sample)
                began, picked_up = now + self.ahead_s, 0
            piece = silence(PIECE_S)
            filled = 0
            while filled < PIECE and self._queue:
                filled += self._pour(piece, filled, began + (picked_up + filled) / RATE)
            picked_up += PIECE
            due = began + picked_up / RATE
            await asyncio.sleep(max(0.0, due - self.ahead_s - self._loop.time()))
            yield piece

    def _delay(self, seconds: float) -> None:
        """Account for a gap in the current clip."""
        if self._queue and self._queue[0][1]:
            self._queue[0][0].began += seconds

    def _pour(self, piece: Pcm, filled: int, now: float) -> int:
        said, place = self._queue[0]
        if place == 0:
            said.began = now
        part = said.clip.pcm[place : place + PIECE - filled]
        piece[filled : filled + len(part)] = part
        if place + len(part) >= len(said.clip.pcm):
            self._queue.pop(0)
            said.done.set_result(None)
        else:
            self._queue[0] = (said, place + len(part))
        return len(part)
