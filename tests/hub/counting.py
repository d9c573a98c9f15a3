"""Runs the counts of several processes in one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from hub.counts import RedisCounts

WITHIN_S: Final = 20.0
SECRET: Final = "only for these tests".ljust(32, ".")


@asynccontextmanager
async def counting(url: str, count: int = 2) -> AsyncIterator[list[RedisCounts]]:
    """Run the counts of this many processes."""
    processes = [RedisCounts(url, SECRET) for _ in range(count)]
    tasks = [asyncio.create_task(one.run()) for one in processes]
    try:
        yield processes
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - the state of another program can only be polled
            await asyncio.sleep(0.01)


async def reached(*counts: RedisCounts) -> None:
    """Wait until they can count."""
    await until(lambda: all(one.is_reached for one in counts))
