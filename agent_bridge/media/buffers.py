"""Bounds what waits for an audio connection, and how fast sound may come from one."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 30.0
"""How far ahead of real time sound may come, for example from a buffer that catches up."""
SPEED: Final = 1.5
"""How fast sound may keep coming, as a multiple of real time: clocks differ a little."""
_MAX_FRAMES: Final = 1_000


class Overflow(Exception):
    """Too much is waiting, and none of it may be dropped."""


class Flow:
    """A queue of messages to one side.

    Args:
        bound: Bytes of sound that may wait.
        drops_oldest: Drop the oldest sound beyond the bound, instead of raising `Overflow`.
    """

    def __init__(self, bound: int, *, drops_oldest: bool = False) -> None:
        self._bound = bound
        self._drops_oldest = drops_oldest
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self.dropped = 0
        """Bytes of sound that were dropped."""

    def put(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            Overflow: Too much is waiting.
        """
        if isinstance(message, bytes):
            self._size += len(message)
        self._waiting.append(message)
        self._arrived.set()
        if self._drops_oldest:
            while self._size > self._bound or len(self._waiting) > 4 * _MAX_FRAMES:
                self._drop_one()
        elif self._size > self._bound or len(self._waiting) > 2 * _MAX_FRAMES:
            raise Overflow

    async def get(self) -> str | bytes:
        """Wait for the next message and return it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._waiting.popleft()
        if isinstance(message, bytes):
            self._size -= len(message)
        return message

    def only_sound(self) -> "Flow":
        """Return a flow of the same kind with only the sound that waits in this one."""
        flow = Flow(self._bound, drops_oldest=self._drops_oldest)
        for message in self._waiting:
            if isinstance(message, bytes):
                flow.put(message)
        flow.dropped += self.dropped
        return flow

    def _drop_one(self) -> None:
        for index, message in enumerate(self._waiting):
            if isinstance(message, bytes):
                del self._waiting[index]
                self._size -= len(message)
                self.dropped += len(message)
                return
        self._waiting.popleft()


class Pace:
    """Checks that sound comes about as fast as it is spoken.

    Args:
        rate: Bytes per second of real time.
        clock: Returns monotonic seconds.
    """

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._credit = BURST_SECONDS * rate
        self._since = clock()

    def allows(self, size: int) -> bool:
        """Count a message of this size; return whether it was not too fast."""
        now = self._clock()
        most = BURST_SECONDS * self._rate
        earned = (now - self._since) * self._rate * SPEED
        self._credit = min(most, self._credit + earned) - size
        self._since = now
        return self._credit >= 0
