"""Calls LiveKit for many rooms, a few at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

AT_ONCE: Final = 8
"""Calls under way at the same time."""

T = TypeVar("T")


async def for_each(items: Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Call `act` for each item, a few at once; its first error ends this for all that are left."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await act(item)

    tasks = [asyncio.create_task(worker()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
