"""Events reach other processes through a real Redis; what it loses is noticed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

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
from hub.redis import RedisHub
from hub.subscription import HubSubscription, ReaderTooSlow
from tests.programs.redis import RedisServer

WITHIN_S = 20.0
ENDED = TranscriptEnded("ses_1", "SESSION_ENDED")
TOPIC = transcripts_topic("ses_1")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One server for the tests that don't end it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def running(url: str, count: int = 2, **options: str) -> AsyncIterator[list[RedisHub]]:
    """Run the hubs of several processes."""
    hubs = [RedisHub(url, **options) for _ in range(count)]
    tasks = [asyncio.create_task(hub.run()) for hub in hubs]
    try:
        yield hubs
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - the state of another program can only be polled
            await asyncio.sleep(0.01)


async def ready(*hubs: RedisHub) -> None:
    await until(lambda: all(hub.condition == "ready" for hub in hubs))


async def following(hub: RedisHub, topic: str, stack: AsyncExitStack) -> HubSubscription:
    """Subscribe, and wait until events of other processes arrive."""
    fresh: list[str] = []
    hub.on_fresh = fresh.append
    subscription = stack.enter_context(hub.subscribe(topic))
    await until(lambda: topic in fresh)
    return subscription


async def next_of(subscription: HubSubscription) -> object:
    async with asyncio.timeout(WITHIN_S):
        return await subscription.get()


async def test_an_event_reaches_the_readers_of_every_process_once(server: RedisServer) -> None:
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


async def test_only_watched_topics_are_received(server: RedisServer) -> None:
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


async def test_the_end_of_one_process_concerns_no_other(server: RedisServer) -> None:
    """The streams of other processes go on."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        reader = await following(there, TOPIC, stack)
        with there.subscribe("server") as other:
            here.emit(ServerStopping())
            here.emit(ENDED)
            assert await next_of(reader) == ENDED
            assert other.take() is None


async def test_another_prefix_is_another_world(server: RedisServer) -> None:
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


async def test_a_volatile_value_is_read_by_every_process(server: RedisServer) -> None:
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


@pytest.mark.parametrize("way", ["kill", "freeze"])
async def test_a_redis_that_goes_away_comes_back(own_server: RedisServer, way: str) -> None:
    """Readers are told that they have missed something, and events flow again."""
    async with running(own_server.url) as (here, there), AsyncExitStack() as stack:
        reader = await following(there, TOPIC, stack)
        of_user = await following(there, user_topic("usr_1"), stack)
        await ready(here, there)
        getattr(own_server, way)()
        here.emit(ENDED)
        await until(lambda: here.condition == "delayed")
        assert await there.retained(["a"]) == [None]
        for _ in range(30):
            here.emit(SessionChanged("ses_1", "usr_1", None))

        own_server.start() if way == "kill" else own_server.thaw()

        await ready(here, there)
        with pytest.raises(ReaderTooSlow):
            await next_of(of_user)
        fresh: list[str] = []
        there.on_fresh = fresh.append
        here.emit(SessionChanged("ses_1", "usr_1", None))
        again = TranscriptCommitted("ses_1", 2, 2, None)
        while reader.take() != again:
            here.emit(again)
            await asyncio.sleep(0.02)


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
        own_server.thaw()
        await ready(hub)
        await until(lambda: not hub._outgoing)


async def test_a_full_redis_still_carries_events(own_server: RedisServer) -> None:
    """Only what it should keep is refused."""
    with RedisServer(maxmemory="1mb", **{"maxmemory-policy": "noeviction"}) as full:
        async with running(full.url) as (here, there), AsyncExitStack() as stack:
            reader = await following(there, TOPIC, stack)
            here.retain("state", "THINKING")
            here.emit(ENDED)
            assert await next_of(reader) == ENDED
            assert await there.retained(["state"]) == [None]
            assert here.condition == "ready"


async def test_a_refused_password_is_told_and_may_be_corrected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server runs on without Redis; the log has no password in it."""
    with RedisServer(requirepass="right") as server:
        async with running(server.url.replace("right", "wrong-one"), 1) as [hub]:
            await until(lambda: "AuthenticationError" in hub._troubles.values())
            assert hub.condition == "delayed"
        async with running(server.url, 1) as [hub]:
            await ready(hub)
    out, err = capsys.readouterr()
    assert "wrong-one" not in out + err


async def test_what_is_no_event_is_skipped(server: RedisServer) -> None:
    """Another version may send events that this one does not know: their topic is compared."""
    async with running(server.url) as (here, there), AsyncExitStack() as stack:
        reader = await following(there, TOPIC, stack)
        fresh: list[str] = []
        there.on_fresh = fresh.append
        here._send(TOPIC, b"\xc1 nonsense")
        here.emit(ENDED)

        assert await next_of(reader) == ENDED
        assert fresh == [TOPIC]
