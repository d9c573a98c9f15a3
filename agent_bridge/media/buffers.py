"""What waits for one audio connection: bounded, whatever comes and however slowly it is read."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 30.0
"""How far ahead of real time sound may come: a buffer that is caught up with."""
SPEED: Final = 1.5
"""How much faster than real time it may come for ever: clocks of sound cards differ a little."""
_MAX_FRAMES: Final = 1_000


class Overflow(Exception):
    """More waits than may, and none of it may be thrown away."""


class Flow:
    """Messages on their way to one side, in order.

    Args:
        bound: bytes of sound that may wait.
        drops_oldest: what is over the bound costs the oldest sound; otherwise it is an `Overflow`.
    """

    def __init__(self, bound: int, *, drops_oldest: bool = False) -> None:
        self._bound = bound
        self._drops_oldest = drops_oldest
        self._waiting: deque[str | bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()
        self.dropped = 0
        """Bytes of sound that were thrown away."""

    def put(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            Overflow: too much waits already.
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
        """Return the next message, when there is one."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._waiting.popleft()
        if isinstance(message, bytes):
            self._size -= len(message)
        return message

    def only_sound(self) -> "Flow":
        """Return a flow of the same kind that holds the sound which waits in this one."""
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
    """Whether sound comes about as fast as it is spoken.

    Args:
        rate: bytes a second of real time.
        clock: seconds, monotonic.
    """

    def __init__(self, rate: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._credit = BURST_SECONDS * rate
        self._since = clock()

    def allows(self, size: int) -> bool:
        """Take a message of so many bytes into account."""
        now = self._clock()
        most = BURST_SECONDS * self._rate
        earned = (now - self._since) * self._rate * SPEED
        self._credit = min(most, self._credit + earned) - size
        self._since = now
        return self._credit >= 0
