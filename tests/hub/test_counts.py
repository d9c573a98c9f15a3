"""Several processes count together in a real Redis; while it is away, nothing waits for it."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from hub import counts as shared_counts
from hub.counts import ANSWERS_WITHIN_S, RedisCounts
from tests.hub.counting import SECRET, counting, reached
from tests.hub.running import WITHIN_S, until
from tests.programs.redis import RedisServer
from tests.programs.redis.several import ClusterRedis, SentinelRedis

LONG = timedelta(minutes=5)
KEY = "sign_in_per_email ada@example.com"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis, because tests run on busy machines."""
    monkeypatch.setattr(shared_counts, "ANSWERS_WITHIN_S", WITHIN_S)


@pytest.fixture(scope="module")
def kept_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def server(kept_server: RedisServer) -> RedisServer:
    """An empty server, for the tests that don't end it."""
    async with _client(kept_server) as client:
        await client.flushall()
    return kept_server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def _client(server: RedisServer) -> Redis:
    return Redis.from_url(server.url, decode_responses=True)


async def left(counts: RedisCounts, key: str = KEY, most: int = 5) -> int:
    """Return how many are counted before one is refused."""
    for number in range(100):
        if await counts.add(key, most, LONG) is not None:
            return number
    raise AssertionError("never refused")


async def test_processes_count_together(server: RedisServer) -> None:
    """However the attempts are spread; another key is counted apart."""
    async with counting(server.url) as (here, there):
        await reached(here, there)
        for counts in (here, there, here):
            assert await counts.add(KEY, 5, LONG) is None

        assert await left(there) == 2
        assert await left(here) == 0
        assert await left(here, "another key") == 5


@pytest.mark.parametrize("kind", [SentinelRedis, ClusterRedis])
async def test_processes_count_together_behind_sentinels_and_on_a_cluster(
    kind: type[SentinelRedis | ClusterRedis],
) -> None:
    """As on one server."""
    with kind() as several:
        async with counting(several.url) as (here, there):
            await reached(here, there)
            for counts in (here, there, here):
                assert await counts.add(KEY, 5, LONG) is None
            await here.take_back(KEY, LONG)
            assert await left(there) == 3
            await there.forget(KEY)
            assert await left(here) == 5


@pytest.mark.soak
async def test_a_cluster_that_comes_late_counts() -> None:
    """Until then, each process judges by its own count."""
    with ClusterRedis() as own:
        for server in own.servers:
            server.kill()
        async with counting(own.url, 1) as [counts]:
            assert await counts.add(KEY, 1, LONG) is None
            assert await counts.add(KEY, 1, LONG) is None
            for server in own.servers:
                server.start()
            await reached(counts)
            assert await left(counts) == 5


async def test_who_is_refused_learns_when_the_window_ends(server: RedisServer) -> None:
    """Never too early, and at most a second too late; a refused attempt does not count."""
    async with counting(server.url) as (here, there):
        await reached(here, there)
        began = time.monotonic()
        assert await left(here) == 5
        for _ in range(10):
            wait = await there.add(KEY, 5, LONG)
            assert wait is not None
            ends_in = LONG - timedelta(seconds=time.monotonic() - began)
            assert ends_in - timedelta(seconds=0.1) < wait <= LONG
        await here.take_back(KEY, LONG)
        assert await left(there) == 1


async def test_what_was_no_guess_is_uncounted_for_all(server: RedisServer) -> None:
    """One attempt, or all of them."""
    async with counting(server.url) as (here, there):
        await reached(here, there)
        assert await left(here) == 5
        await there.take_back(KEY, LONG)
        assert await left(here) == 1
        await there.forget(KEY)
        await there.forget("nobody")
        assert await left(here) == 5


async def test_a_window_ends(server: RedisServer) -> None:
    """Then as many are counted as before."""
    async with counting(server.url) as (here, there):
        await reached(here, there)
        assert await here.add(KEY, 1, timedelta(seconds=2)) is None
        async with asyncio.timeout(WITHIN_S):
            # The first that is counted after the end begins a long window.
            while await there.add(KEY, 1, LONG) is not None:  # noqa: ASYNC110 - Redis's clock
                await asyncio.sleep(0.01)

        assert await here.add(KEY, 1, LONG) is not None


async def test_redis_shows_nobody_and_forgets_everything(server: RedisServer) -> None:
    """Keys are hashes, which another secret makes differently, and all of them end."""
    async with counting(server.url, 1) as [counts], _client(server) as client:
        await reached(counts)
        await counts.add(KEY, 5, LONG)
        await counts.add("sign_in_per_address 192.0.2.1", 5, LONG)
        await counts.take_back("sign_in_per_address 192.0.2.2", LONG)
        keys = [str(key) for key in await client.keys()]
        assert len(keys) == 4, "three counts, and what asks whether Redis counts"
        for key in keys:
            assert key.startswith("voxql:rate:")
            assert not any(word in key for word in ("ada", "example", "192", "sign_in")), key
            assert 0 < await client.ttl(key) <= 300
        other = RedisCounts(server.url, SECRET[::-1])
        assert other._hidden(KEY) != counts._hidden(KEY)
        await other.aclose()


@pytest.mark.parametrize("way", ["kill", "freeze"])
async def test_nobody_waits_for_a_redis_that_is_away(
    own_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    """Nor is refused; one attempt may find it out. When Redis is back, it counts again."""
    async with counting(own_server.url) as (here, there):
        await reached(here, there)
        assert await left(here) == 5
        monkeypatch.setattr(shared_counts, "ANSWERS_WITHIN_S", ANSWERS_WITHIN_S)
        getattr(own_server, way)()

        began = time.monotonic()
        assert await here.add(KEY, 5, LONG) is None
        assert time.monotonic() - began < 2.0, "0.5 s, and more on a busy machine"
        assert not here.is_reached
        began = time.monotonic()
        for _ in range(1000):
            assert await here.add(KEY, 5, LONG) is None
            await here.take_back(KEY, LONG)
            await here.forget(KEY)
        assert time.monotonic() - began < 2.0

        monkeypatch.setattr(shared_counts, "ANSWERS_WITHIN_S", WITHIN_S)
        own_server.start() if way == "kill" else own_server.thaw()
        await reached(here, there)
        assert await left(here) == (5 if way == "kill" else 0)
    out, err = capsys.readouterr()
    told = [line for line in (out + err).splitlines() if "rate_limits_" in line]
    assert sum("rate_limits_local" in line for line in told) >= 1, told
    assert len(told) <= 12, "only changes are told"


async def test_a_full_redis_refuses_nobody() -> None:
    """It can count nothing, though it still answers."""
    with RedisServer(maxmemory="1mb", **{"maxmemory-policy": "noeviction"}) as full:
        async with counting(full.url, 1) as [counts], _client(full) as client:
            assert await client.ping()
            await until(lambda: "OutOfMemory" in counts._trouble)
            for _ in range(10):
                assert await counts.add(KEY, 5, LONG) is None

            await client.config_set("maxmemory", "0")
            await reached(counts)
            assert await left(counts) == 5


async def test_a_refused_password_refuses_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """The log says what is wrong, without the password."""
    with RedisServer(requirepass="right") as server:
        async with counting(server.url.replace("right", "wrong-one"), 1) as [counts]:
            await until(lambda: "AuthenticationError" in counts._trouble)
            for _ in range(10):
                assert await counts.add(KEY, 5, LONG) is None
        async with counting(server.url, 1) as [counts]:
            await reached(counts)
            assert await left(counts) == 5
    out, err = capsys.readouterr()
    assert "rate_limits_local" in out + err
    assert "wrong-one" not in out + err


async def test_a_crowd_is_counted_over_few_connections(server: RedisServer) -> None:
    """Of a thousand attempts at once, as many are allowed as one after the other."""
    async with counting(server.url) as (here, there), _client(server) as client:
        await reached(here, there)

        waits = await asyncio.gather(
            *(counts.add(KEY, 300, LONG) for counts in (here, there) for _ in range(500))
        )

        assert (here.is_reached, there.is_reached) == (True, True)
        assert sum(wait is None for wait in waits) == 300
        clients = await client.client_list()
        assert len(clients) <= 2 * 16 + 1
