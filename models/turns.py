"""Splits long work in the event loop into turns, between which other tasks run.

It is in `models` because every package except the bridge has such work.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

AFTER_S: Final = 0.003
"""Seconds after which a turn ends and other tasks run."""
FREE: Final = 5
"""Turns of one request that follow each other without a rest."""
REST_S: Final = 0.001
"""Seconds of rest between later turns. Other requests need many steps of the loop, and steps of
SQLite's thread, which gets the GIL while this thread is idle."""

T = TypeVar("T")


class Turns:
    """The turns of one request, shared by all of its loops."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._taken = 0
        self._waiting: asyncio.Future[None] | None = None

    def is_over(self) -> bool:
        """Whether this turn has taken long enough; then await `next`."""
        return time.perf_counter() - self._began > AFTER_S

    async def next(self) -> None:
        """Wait until other tasks have run, together with the request's other loops."""
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            self._taken += 1
            if self._taken > FREE:
                loop.call_later(REST_S, _go_on, self._waiting)
            else:
                loop.call_soon(_go_on, self._waiting)
        waiting = self._waiting
        await asyncio.shield(waiting)
        if self._waiting is waiting:
            # The first loop to resume: other tasks may have run for long since the result was set.
            self._waiting = None
            self._began = time.perf_counter()

    async def of(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Yield these items; after each, end the turn if it is over."""
        for item in items:
            yield item
            if self.is_over():
                await self.next()


def _go_on(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
