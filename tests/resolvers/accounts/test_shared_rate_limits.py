"""Guesses are counted over all processes; without Redis, by each of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from hub import counts as shared_counts
from resolvers.accounts.authentication import Authentication
from resolvers.accounts.rate_limits import Rate, RateLimits, Rates
from resolvers.backend import Backend
from resolvers.refusals import RateLimited, Unauthenticated
from tests.hub.counting import counting, reached
from tests.hub.running import WITHIN_S, until
from tests.programs.redis import RedisServer
from tests.resolvers.accounts.people import EMAIL, PASSWORD, new_ada
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused

THREE = Rate(3, timedelta(seconds=90))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis, because tests run on busy machines."""
    monkeypatch.setattr(shared_counts, "ANSWERS_WITHIN_S", WITHIN_S)


@pytest.fixture(scope="module")
def kept_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def redis(kept_redis: RedisServer) -> RedisServer:
    """An empty server, for the tests that don't end it."""
    async with Redis.from_url(kept_redis.url) as client:
        await client.flushall()
    return kept_redis


@asynccontextmanager
async def limiting(redis: RedisServer, clock: Clock) -> AsyncIterator[list[RateLimits]]:
    """Run the limits of two processes."""
    rates = Rates(sign_in_per_email=THREE)
    async with counting(redis.url) as counts:
        await reached(*counts)
        yield [RateLimits(clock, rates, shared=shared) for shared in counts]


async def left(limits: RateLimits) -> int:
    """Return the number of tries before one is refused."""
    for number in range(100):
        try:
            await limits.take(THREE, EMAIL)
        except RateLimited:
            return number
    raise AssertionError("never refused")


async def test_tries_are_counted_over_all_processes(redis: RedisServer, clock: Clock) -> None:
    """The message says when the window ends."""
    async with limiting(redis, clock) as (here, there):
        await here.take(THREE, EMAIL)
        await there.take(THREE, EMAIL)
        assert await left(here) == 1
        with pytest.raises(RateLimited, match="Try again in 2 minutes"):
            await there.take(THREE, EMAIL)
        assert (here.kind, there.kind) == ("shared", "shared")


async def test_a_try_that_was_refused_for_all_does_not_count_here(
    redis: RedisServer, clock: Clock
) -> None:
    """Otherwise it would still be refused when the others have forgotten theirs."""
    async with limiting(redis, clock) as (here, there):
        assert await left(here) == 3
        for _ in range(10):
            assert await left(there) == 0
        await here.forget(THREE, EMAIL)
        assert await left(there) == 3


async def test_what_was_no_guess_is_taken_back_for_all(redis: RedisServer, clock: Clock) -> None:
    """One try."""
    async with limiting(redis, clock) as (here, there):
        assert await left(here) == 3
        await here.take_back(THREE, EMAIL)
        assert await left(there) == 1


async def test_without_redis_each_process_judges_by_its_own_count(clock: Clock) -> None:
    """What it counted before still counts."""
    with RedisServer() as redis:
        async with limiting(redis, clock) as (here, there):
            await here.take(THREE, EMAIL)
            redis.kill()
            await until(lambda: here.kind == there.kind == "local")
            assert await left(here) == 2
            assert await left(there) == 3
            await there.take_back(THREE, EMAIL)
            assert await left(there) == 1
            await there.forget(THREE, EMAIL)
            assert await left(there) == 3

            redis.start()
            await until(lambda: here.kind == there.kind == "shared")
            assert await left(here) == 0, "its own count goes on"


@asynccontextmanager
async def serving(backend: Backend, redis: RedisServer) -> AsyncIterator[list[Authentication]]:
    """Run what signs people in, in two processes."""
    async with counting(redis.url) as counts:
        await reached(*counts)
        yield [
            replace(backend.authentication, limiter=RateLimits(backend.clock, shared=shared))
            for shared in counts
        ]


async def guess(authentication: Authentication) -> None:
    async with refused(Unauthenticated):
        await authentication.sign_in(None, email=EMAIL, password="wrong horse")


@pytest.mark.usefixtures("quick_passwords")
async def test_several_processes_allow_no_more_guesses_than_one(
    backend: Backend, redis: RedisServer
) -> None:
    """After ten, even the right password must wait, whichever process is asked."""
    await new_ada(backend)
    async with serving(backend, redis) as processes:
        for number in range(10):
            await guess(processes[number % 2])
        for process in processes:
            async with refused(RateLimited, says="Try again in 5 minutes."):
                await process.sign_in(None, email=EMAIL, password=PASSWORD)


@pytest.mark.usefixtures("quick_passwords")
async def test_who_knows_the_password_is_not_slowed_down_anywhere(
    backend: Backend, redis: RedisServer
) -> None:
    """It clears the count of that address for all processes, and takes one back from the rest."""
    await new_ada(backend)
    async with serving(backend, redis) as (here, there):
        for _ in range(3):
            for _ in range(9):
                await guess(here)
            await there.sign_in(None, email=EMAIL, password=PASSWORD)
            # The count of this process alone goes on.
            await here.sign_in(None, email=EMAIL, password=PASSWORD)
        rate = there.limiter.rates.sign_in_per_email
        assert there.limiter.shared is not None
        key = there.limiter._key(rate, EMAIL)
        counted = 0
        while await there.limiter.shared.add(key, rate.count, rate.per) is None:
            counted += 1
        assert counted == 100 - 27
