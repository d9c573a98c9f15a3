"""Long work in the event loop, cut into turns between which others have theirs.

It stands here because every room but the bridge's has such work.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

AFTER_S: Final = 0.003
"""Seconds after which the event loop goes on with others."""
FREE: Final = 5
"""Turns of one request that follow each other at once."""
REST_S: Final = 0.001
"""Seconds between those that come then. A request of others takes many steps of the loop, and steps
of SQLite's thread, which gets Python's lock when this one has nothing to do."""

T = TypeVar("T")


class Turns:
    """The turns of one request, which all of its loops share."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._taken = 0
        self._waiting: asyncio.Future[None] | None = None

    def is_over(self) -> bool:
        """Whether this turn has taken long enough; then `next` is to be awaited."""
        return time.perf_counter() - self._began > AFTER_S

    async def next(self) -> None:
        """Wait until others have had theirs, together with the request's other loops."""
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
            # The first loop to go on: others may have had long turns since the result was set.
            self._waiting = None
            self._began = time.perf_counter()

    async def of(self, items: Iterable[T]) -> AsyncIterator[T]:
        """Yield these items, with a look at the time after each."""
        for item in items:
            yield item
            if self.is_over():
                await self.next()


def _go_on(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
