"""Long work yields to other tasks."""

import asyncio
import itertools
import time

import pytest

from models import turns
from models.turns import Turns


async def test_a_loop_has_its_whole_turn_after_others_had_long_ones() -> None:
    """A turn's time starts when the loop resumes, not when it could have resumed."""
    loop = asyncio.get_running_loop()
    mine = Turns()
    waited = asyncio.create_task(mine.next())
    await asyncio.sleep(0)
    until = time.perf_counter() + 2 * turns.AFTER_S

    def others() -> None:
        while time.perf_counter() < until:
            pass

    loop.call_soon(others)
    await waited

    assert mine._began >= until


async def test_others_run_once_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever became ready during a turn runs before the next turn."""
    now = itertools.count(step=turns.AFTER_S / 10)
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    loop = asyncio.get_running_loop()
    seen: list[str] = []

    async for number in Turns().of(range(40)):
        loop.call_soon(seen.append, "other")
        seen.append(f"{number}")

    begun = [place for place, one in enumerate(seen) if one == "0" or seen[place - 1] == "other"]
    own = [[one for one in seen[a:b] if one != "other"] for a, b in itertools.pairwise(begun)]
    assert all(len(one) <= 11 for one in own if one), own
    assert seen.count("other") >= 29


async def test_who_has_had_many_turns_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its free turns a request rests, so that others get many loop steps instead of one."""
    monkeypatch.setattr(turns, "REST_S", 1.0)
    steps = 0

    async def count() -> None:
        nonlocal steps
        while True:
            steps += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    mine = Turns()
    for _ in range(turns.FREE):
        await mine.next()
    before = steps
    assert before <= 3 * turns.FREE
    await mine.next()
    counting.cancel()

    assert steps - before > 20


async def test_a_turn_that_nobody_waits_for_any_more_ends_quietly() -> None:
    """The request was cancelled before the loop's callback ran."""
    mine = Turns()
    waiting = asyncio.create_task(mine.next())
    await asyncio.sleep(0)
    assert mine._waiting is not None
    mine._waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.01)
