"""Run the hubs of several processes in one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, Protocol, TypeVar

import pytest

from hub.events import TranscriptCommitted
from hub.redis import RedisHub
from hub.subscription import HubSubscription, ReaderTooSlow

WITHIN_S: Final = 20.0


class Runs(Protocol):
    """Something that runs until it is cancelled."""

    async def run(self) -> None:
        """Run."""


R = TypeVar("R", bound=Runs)


@asynccontextmanager
async def all_running(parts: list[R]) -> AsyncIterator[list[R]]:
    """Run these until the end; none may end by itself."""
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield parts
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def running(url: str, count: int = 2, **options: str) -> AsyncIterator[list[RedisHub]]:
    """Run the hubs of several processes."""
    async with all_running([RedisHub(url, **options) for _ in range(count)]) as hubs:
        yield hubs


async def until(is_so: Callable[[], object]) -> None:
    """Wait until this is so."""
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - the state of another program can only be polled
            await asyncio.sleep(0.01)


async def ready(*hubs: RedisHub) -> None:
    """Wait until these hubs can use Redis."""
    await until(lambda: all(hub.condition == "ready" for hub in hubs))


async def following(hub: RedisHub, topic: str, stack: AsyncExitStack) -> HubSubscription:
    """Subscribe, and wait until events of other processes arrive."""
    fresh: list[str] = []
    hub.on_fresh = fresh.append
    subscription = stack.enter_context(hub.subscribe(topic))
    await until(lambda: topic in fresh)
    return subscription


async def flow_again(here: RedisHub, reader: HubSubscription, of_user: HubSubscription) -> None:
    """Check that a reader was told that it has missed something, and gets what is new."""
    with pytest.raises(ReaderTooSlow):
        await next_of(of_user)
    again = TranscriptCommitted("ses_1", 2, 2, None)
    async with asyncio.timeout(WITHIN_S):
        while reader.take() != again:
            here.emit(again)
            await asyncio.sleep(0.02)
    while reader.take() is not None:
        pass


async def next_of(subscription: HubSubscription) -> object:
    """Wait for the next event."""
    async with asyncio.timeout(WITHIN_S):
        return await subscription.get()
