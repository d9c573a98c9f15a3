"""Events reach other processes through a real Redis; what it loses is noticed."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from redis.crc import key_slot

from hub.events import (
    AccessRevoked,
    ServerStopping,
    SessionChanged,
    TranscriptCommitted,
    TranscriptEnded,
    access_topic,
    session_topic,
    transcripts_topic,
    user_topic,
)
from hub.subscription import ReaderTooSlow
from tests.hub.running import WITHIN_S, flow_again, following, next_of, ready, running, until
from tests.programs.redis import RedisServer
from tests.programs.redis.several import PASSWORD, ClusterRedis, SentinelRedis

ENDED = TranscriptEnded("ses_1", "SESSION_ENDED")
TOPIC = transcripts_topic("ses_1")


Redis = RedisServer | SentinelRedis | ClusterRedis


@pytest.fixture(scope="module", params=[RedisServer, SentinelRedis, ClusterRedis])
def server(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """One of each kind for the tests that don't end it."""
    with request.param() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def test_an_event_reaches_the_readers_of_every_process_once(server: Redis) -> None:
    """Those of its own process at once."""
    async with running(server.url, 3) as hubs, AsyncExitStack() as stack:
        readers = [await following(hub, TOPIC, stack) for hub in hubs]
        events = [TranscriptCommitted("ses_1", n, n, None) for n in range(1, 101)]
        for event in events:
            hubs[0].emit(event)
        assert readers[0].take() == events[0]
        for event in events[1:]:
            assert readers[0].take() == event
        for reader in readers[1:]:
            assert [await next_of(reader) for _ in events] == events
        hubs[2].emit(ENDED)
        assert [await next_of(reader) for reader in readers] == [ENDED] * 3
        assert [reader.take() for reader in readers] == [None] * 3
        await until(lambda: [hub.carried.sent for hub in hubs] == [100, 0, 1])
        assert [hub.carried.received for hub in hubs] == [1, 101, 100]
        assert [hub.carried.lost for hub in hubs] == [0, 0, 0]


async def test_only_watched_topics_are_received(server: Redis) -> None:
    """A topic that nobody here watches any more is given up."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        kept = await following(there, access_topic("log_1"), stack)
        async with AsyncExitStack() as short:
            left = await following(there, TOPIC, short)
        await following(there, session_topic("ses_1"), stack)
        here.emit(ENDED)
        here.emit(AccessRevoked("log_1"))

        assert await next_of(kept) == AccessRevoked("log_1")
        assert left.take() is None


async def test_the_end_of_one_process_concerns_no_other(server: Redis) -> None:
    """The streams of other processes go on."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        reader = await following(there, TOPIC, stack)
        with there.subscribe("server") as other:
            here.emit(ServerStopping())
            here.emit(ENDED)
            assert await next_of(reader) == ENDED
            assert other.take() is None


async def test_another_prefix_is_another_world(server: Redis) -> None:
    """Two installations may share one Redis."""
    async with (
        running(server.url, 1, prefix="one:") as [one],
        running(server.url) as (here, there),
        AsyncExitStack() as stack,
    ):
        strange = await following(one, TOPIC, stack)
        reader = await following(there, TOPIC, stack)
        here.emit(ENDED)
        assert await next_of(reader) == ENDED
        one.retain("key", "of one")
        assert strange.take() is None
        assert await here.retained(["key"]) == [None]


async def test_a_volatile_value_is_read_by_every_process(server: Redis) -> None:
    """Until it is deleted."""
    async with running(server.url) as (here, there):
        here.retain("a", "THINKING")
        here.retain("b", "SPEAKING")
        here.retain("b", None)
        async with asyncio.timeout(WITHIN_S), AsyncExitStack() as stack:
            # Commands of one process arrive in their order.
            reader = await following(there, TOPIC, stack)
            here.emit(ENDED)
            await next_of(reader)
            assert await there.retained(["a", "b", "c"]) == ["THINKING", None, None]


@pytest.mark.parametrize(
    ("kind", "way"), [(RedisServer, "kill"), (RedisServer, "freeze"), (ClusterRedis, "kill")]
)
async def test_a_redis_that_goes_away_comes_back(
    kind: type[RedisServer] | type[ClusterRedis], way: str
) -> None:
    """Readers are told that they have missed something, and events flow again."""
    with kind() as own_server:
        async with running(own_server.url) as (here, there), AsyncExitStack() as stack:
            of_user = await following(there, user_topic("usr_1"), stack)
            reader = await following(there, TOPIC, stack)
            await ready(here, there)
            getattr(own_server, way)()
            here.emit(ENDED)
            await until(lambda: here.condition == "delayed")
            assert await there.retained(["a"]) == [None]
            for _ in range(30):
                here.emit(SessionChanged("ses_1", "usr_1", None))

            own_server.start() if way == "kill" else own_server.thaw()

            await ready(here, there)
            await flow_again(here, reader, of_user)


async def test_the_others_learn_that_a_process_could_not_send(own_server: RedisServer) -> None:
    """Only the sender noticed that its events were lost."""
    async with running(own_server.url) as (here, there), AsyncExitStack() as stack:
        of_user = await following(there, user_topic("usr_1"), stack)
        await following(there, TOPIC, stack)
        await ready(here, there)
        fresh: list[str] = []
        there.on_fresh = fresh.append
        here._lose_outgoing()
        here.emit(ENDED)

        with pytest.raises(ReaderTooSlow):
            await next_of(of_user)
        await until(lambda: set(fresh) == {TOPIC, user_topic("usr_1")})


async def test_events_do_not_pile_up_while_redis_is_away(own_server: RedisServer) -> None:
    """The memory for them is bounded; what is lost is found in the database."""
    own_server.freeze()
    async with running(own_server.url, 1) as [hub]:
        for number in range(30_000):
            hub.emit(TranscriptCommitted("ses_1", number, number, None))
        assert len(hub._outgoing) <= 10_000
        assert hub.carried.lost + len(hub._outgoing) == 30_000
        own_server.thaw()
        await ready(hub)
        await until(lambda: not hub._outgoing)


async def test_a_full_redis_still_carries_events() -> None:
    """Only what it should keep is refused."""
    with RedisServer(maxmemory="1mb", **{"maxmemory-policy": "noeviction"}) as full:
        async with running(full.url) as (here, there), AsyncExitStack() as stack:
            reader = await following(there, TOPIC, stack)
            await ready(here)
            here.retain("state", "THINKING")
            here.emit(ENDED)
            assert await next_of(reader) == ENDED
            assert await there.retained(["state"]) == [None]
            assert here.condition == "ready"


@pytest.mark.parametrize("kind", [RedisServer, SentinelRedis])
async def test_a_refused_password_is_told_and_may_be_corrected(
    kind: type[RedisServer] | type[SentinelRedis], capsys: pytest.CaptureFixture[str]
) -> None:
    """The server runs on without Redis; the log has no password in it."""
    with RedisServer(requirepass=PASSWORD) if kind is RedisServer else SentinelRedis() as server:
        async with running(server.url.replace(PASSWORD, "wrong-one"), 1) as [hub]:
            await until(lambda: hub._troubles.get("listening") != "not connected yet")
            assert hub.condition == "delayed"
        async with running(server.url, 1) as [hub]:
            await ready(hub)
    out, err = capsys.readouterr()
    assert "AuthenticationError" in out + err
    assert "wrong-one" not in out + err


async def test_what_is_no_event_is_skipped(server: Redis) -> None:
    """Another version may send events that this one does not know: their topic is compared."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        reader = await following(there, TOPIC, stack)
        fresh: list[str] = []
        there.on_fresh = fresh.append
        here._send(TOPIC, b"\xc1 nonsense")
        here.emit(ENDED)

        assert await next_of(reader) == ENDED
        assert fresh == [TOPIC]


@pytest.mark.parametrize("server", [ClusterRedis], indirect=True)
async def test_a_slot_may_move_to_another_server(server: ClusterRedis) -> None:
    """Events on it flow again, and the readers of its topics are told."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        of_user = await following(there, user_topic("usr_1"), stack)
        reader = await following(there, TOPIC, stack)
        await ready(here, there)
        fresh: list[str] = []
        there.on_fresh = fresh.append
        server.move(key_slot(here._channel(TOPIC).encode()))

        await until(lambda: TOPIC in fresh)
        await flow_again(here, reader, of_user)
        here.retain("state:ses_1:1", "THINKING")
        here.emit(ENDED)
        assert await next_of(reader) == ENDED
        assert await there.retained(["state:ses_1:1"]) == ["THINKING"]
        assert here.carried.lost == 0
