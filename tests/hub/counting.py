"""Runs the counts of several processes in one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hub.counts import RedisCounts
from tests.hub.running import all_running, until

SECRET: Final = "only for these tests".ljust(32, ".")


@asynccontextmanager
async def counting(url: str, count: int = 2) -> AsyncIterator[list[RedisCounts]]:
    """Run the counts of this many processes."""
    async with all_running([RedisCounts(url, SECRET) for _ in range(count)]) as processes:
        yield processes


async def reached(*counts: RedisCounts) -> None:
    """Wait until they can count."""
    await until(lambda: all(one.is_reached for one in counts))
