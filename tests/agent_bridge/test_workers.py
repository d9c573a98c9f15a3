"""Workers, from both ends: which one is asked, how it answers, and what happens when it leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agent_bridge.client.link import BridgeClosed
from agent_bridge.client.worker import StartJob, Worker
from agent_bridge.protocol import WORKER, CloseCode
from agent_bridge.server.workers import (
    NoFreePlace,
    NoWorker,
    StartRequest,
    StartUnplaced,
    Workers,
)
from hub.local import LocalHub
from tests.agent_bridge.serving import KEY, Served, serve
from tests.agent_bridge.wire import Raw, impatient, raw
from tests.wire import Wire

REQUEST = StartRequest("ses_1", 1, "echo", "bridge-token", "audio-token")


def request(number: int) -> StartRequest:
    return replace(REQUEST, session=f"ses_{number}")


@asynccontextmanager
async def worker(served: Served, places: int, *names: str) -> AsyncIterator[Raw]:
    """Connect a worker controlled by the test."""
    async with raw(served.url, WORKER) as connection:
        await connection.send("hello", key=KEY, agentNames=names or ("echo",), places=places)
        assert await connection.receive() == {"type": "welcome"}
        yield connection


class Jobs:
    """Conversations that last until the test ends them."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[StartJob] = asyncio.Queue()
        self.ends: dict[str, asyncio.Event] = {}

    async def run(self, job: StartJob) -> None:
        self.ends[job.session] = asyncio.Event()
        self.started.put_nowait(job)
        await self.ends[job.session].wait()


@asynccontextmanager
async def shipped(
    url: str, jobs: Jobs, *, places: int = 2, **options: Any
) -> AsyncIterator[Worker]:
    """Run a `Worker` during the block."""
    given = {"key": KEY, "agent_names": ["echo"], "on_start": jobs.run, **options}
    program = Worker(url, places=places, backoff=impatient(), **given)
    running = asyncio.create_task(program.run())
    try:
        await program.connected()
        yield program
    finally:
        await program.stop(timeout=0)
        await running


async def test_a_start_reaches_the_worker_with_all_it_needs() -> None:
    """It includes the tokens, the session and the server's address."""
    jobs = Jobs()
    async with serve() as served, shipped(served.url, jobs) as program:
        assert served.workers.is_ready
        assert served.workers.names() == {"echo"}
        assert served.workers.free("echo") == 2
        served.workers.start(REQUEST)
        assert served.workers.free("echo") == 1
        job = await jobs.started.get()
        assert job == StartJob(served.url, "ses_1", 1, "echo", "bridge-token", "audio-token")
        assert (program.running, program.free) == (1, 1)
        jobs.ends["ses_1"].set()
        await served.workers.until(lambda: served.workers.free("echo") == 2)
    assert not served.workers.is_ready


async def test_without_a_worker_of_that_name_there_is_none_to_ask() -> None:
    """This covers an unknown name and no worker at all."""
    async with serve() as served:
        with pytest.raises(NoWorker):
            served.workers.start(REQUEST)
        async with worker(served, 3, "other"):
            with pytest.raises(NoWorker):
                served.workers.start(REQUEST)


async def test_more_starts_than_places_are_refused_before_anybody_answers() -> None:
    """Pending starts count, so that a burst does not overfill a worker."""
    async with serve() as served, worker(served, 2) as connection:
        served.workers.start(request(1))
        served.workers.start(request(2))
        with pytest.raises(NoFreePlace):
            served.workers.start(request(3))
        assert (await connection.receive())["session"] == "ses_1"
        assert (await connection.receive())["session"] == "ses_2"


async def test_places_are_right_whatever_crosses_on_the_wire() -> None:
    """A report sent before the start arrived does not free its place again."""
    async with serve() as served, worker(served, 2) as connection:
        served.workers.start(request(1))
        await connection.send("places", free=2)
        await served.workers.until(lambda: served.workers.free("echo") == 1)
        await connection.send("started", session="ses_1", attempt=1)
        await connection.send("places", free=1)
        served.workers.start(request(2))
        await served.workers.until(lambda: served.workers.free("echo") == 0)
        await connection.send("started", session="ses_2", attempt=1)
        await connection.send("places", free=5)
        await served.workers.until(lambda: served.workers.free("echo") == 5)


async def test_a_start_that_was_answered_takes_a_place_before_the_next_report() -> None:
    """`started` counts by itself: the next report may still be in transit."""
    async with serve() as served, worker(served, 1) as connection:
        served.workers.start(request(1))
        await connection.send("started", session="ses_1", attempt=1)
        await served.workers.until(lambda: served.workers.heard == ["started"])
        assert served.workers.free("echo") == 0


async def test_the_shipped_worker_answers_before_it_reports() -> None:
    """The server's count relies on this order."""
    async with serve() as served, shipped(served.url, Jobs()):
        served.workers.start(REQUEST)
        await served.workers.until(lambda: "places 1" in served.workers.heard)
        assert served.workers.heard == ["places 2", "started", "places 1"]


async def test_the_worker_with_the_most_free_places_is_asked() -> None:
    """Only workers that run the agent are considered."""
    async with (
        serve() as served,
        worker(served, 1),
        worker(served, 3) as roomy,
        worker(served, 9, "other"),
    ):
        assert served.workers.free("echo") == 4
        served.workers.start(REQUEST)
        assert (await roomy.receive())["type"] == "start"


async def test_a_full_worker_says_so_and_another_is_asked() -> None:
    """It isn't asked again before it reports places, and no worker is asked twice per start."""
    unplaced: list[tuple[str, str]] = []
    async with serve() as served, worker(served, 5) as first, worker(served, 3) as second:
        served.hub.on(StartUnplaced, lambda lost: unplaced.append((lost.session_id, lost.reason)))
        served.workers.start(REQUEST)
        assert (await first.receive())["type"] == "start"
        await first.send("refused", session="ses_1", attempt=1, reason="FULL")
        assert (await second.receive())["type"] == "start"
        assert served.workers.free("echo") == 2
        await second.send("refused", session="ses_1", attempt=1, reason="NO_LICENCE")
        await served.workers.until(lambda: unplaced == [("ses_1", "NO_LICENCE")])
        await first.send("places", free=4)
        await served.workers.until(lambda: served.workers.free("echo") == 7)


async def test_a_worker_that_does_not_answer_loses_the_start_to_another() -> None:
    """The silent one may have hung, and a person is waiting."""
    async with (
        serve(start_seconds=0.05) as served,
        worker(served, 9) as silent,
        worker(served, 1) as other,
    ):
        served.workers.start(REQUEST)
        assert (await silent.receive())["type"] == "start"
        assert (await other.receive())["type"] == "start"
        await other.send("started", session="ses_1", attempt=1)
        await served.workers.until(lambda: served.workers.free("echo") == 0)


async def test_a_worker_that_breaks_is_gone_at_once_and_its_starts_move() -> None:
    """Nothing waits for a time-out."""
    async with (
        serve(start_seconds=60) as served,
        worker(served, 9) as broken,
        worker(served, 1) as other,
    ):
        served.workers.start(REQUEST)
        broken.socket.transport.abort()
        assert (await other.receive())["session"] == "ses_1"


async def test_the_same_start_again_is_not_sent_twice() -> None:
    """This holds until the first is answered."""
    async with serve() as served, worker(served, 9) as connection:
        served.workers.start(REQUEST)
        served.workers.start(REQUEST)
        served.workers.start(request(2))
        assert (await connection.receive())["session"] == "ses_1"
        assert (await connection.receive())["session"] == "ses_2"


async def test_the_shipped_worker_refuses_what_it_cannot_take() -> None:
    """The reasons are FULL, UNKNOWN_AGENT and DRAINING."""
    unplaced: list[str] = []
    jobs = Jobs()
    async with serve() as served, shipped(served.url, jobs, places=1) as program:
        served.hub.on(StartUnplaced, lambda lost: unplaced.append(lost.reason))
        [connected] = served.workers._workers
        served.workers.start(REQUEST)
        await jobs.started.get()
        # Simulate a wrong count on the server.
        connected.reported = 5
        served.workers.start(request(2))
        await served.workers.until(lambda: unplaced == ["FULL"])
        assert program.running == 1
        connected.reported, connected.names = 5, frozenset({"echo", "other"})
        served.workers.start(replace(request(3), agent_name="other"))
        await served.workers.until(lambda: unplaced == ["FULL", "UNKNOWN_AGENT"])
        stopping = asyncio.create_task(program.stop())
        await served.workers.until(lambda: connected.reported == 0)
        connected.reported = 5
        served.workers.start(request(4))
        await served.workers.until(lambda: unplaced == ["FULL", "UNKNOWN_AGENT", "DRAINING"])
        jobs.ends["ses_1"].set()
        await stopping


async def test_a_conversation_that_fails_frees_its_place() -> None:
    """The worker goes on."""

    async def fail(job: StartJob) -> None:
        raise RuntimeError("the agent is broken")

    async with serve() as served, shipped(served.url, Jobs(), on_start=fail, places=1):
        for number in (1, 2):
            served.workers.start(request(number))
            await served.workers.until(lambda: served.workers.free("echo") == 1)


async def test_conversations_go_on_while_the_server_restarts() -> None:
    """The worker reconnects and reports its remaining places."""
    jobs = Jobs()
    async with serve() as served:
        port = served.port
        context = shipped(served.url, jobs)
        program = await context.__aenter__()
        served.workers.start(REQUEST)
        await jobs.started.get()
    async with serve(port=port) as again:
        await again.workers.until(lambda: again.workers.free("echo") == 1)
        assert program.running == 1
        again.workers.start(request(2))
        assert (await jobs.started.get()).session == "ses_2"
        await context.__aexit__(None, None, None)


async def test_a_worker_comes_back_over_a_wire_that_breaks() -> None:
    """It reconnects every time."""
    async with (
        serve() as served,
        Wire(served.port) as wire,
        shipped(wire.url, Jobs()),
    ):
        for connections in (2, 3, 4):
            wire.cut()

            def is_back(expected: int = connections) -> bool:
                return wire.connections == expected and served.workers.free("echo") == 2

            await served.workers.until(is_back)


async def test_a_wrong_key_ends_the_worker_with_a_reason() -> None:
    """A retry would be refused too."""
    async with serve() as served, Wire(served.port) as wire:
        for key in ("wrong", "schlüssel"):
            program = Worker(wire.url, key, agent_names=["echo"], places=1, on_start=Jobs().run)
            with pytest.raises(BridgeClosed, match="worker key") as caught:
                await asyncio.wait_for(program.run(), timeout=15)
            assert caught.value.code is CloseCode.UNAUTHENTICATED
        assert wire.connections == 2
    assert served.workers.names() == set()


async def test_stopping_waits_for_conversations_and_then_cancels_them() -> None:
    """`run` returns when they are over."""
    jobs = Jobs()
    async with serve() as served, shipped(served.url, jobs) as program:
        served.workers.start(REQUEST)
        await jobs.started.get()
        stopping = asyncio.create_task(program.stop())
        await served.workers.until(lambda: served.workers.free("echo") == 0)
        assert program.running == 1
        jobs.ends["ses_1"].set()
        await stopping
        assert program.running == 0


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"key": KEY, "agentNames": [], "places": 1},
        {"key": KEY, "agentNames": "echo", "places": 1},
        {"key": KEY, "agentNames": ["echo"], "places": -1},
        {"key": KEY, "agentNames": ["echo"], "places": True},
        {"key": KEY, "agentNames": ["echo"] * 33, "places": 1},
        {"token": KEY},
    ],
)
async def test_a_bad_hello_of_a_worker_is_refused(members: dict[str, Any]) -> None:
    """It gets BAD_FRAME and is not registered."""
    async with serve() as served, raw(served.url, WORKER) as connection:
        await connection.send("hello", **members)
        assert await connection.closed() == CloseCode.BAD_FRAME
        assert not served.workers.is_ready


async def test_a_silent_worker_is_closed_with_hello_timeout() -> None:
    """The same holds for agents."""
    async with serve(hello_seconds=0.05) as served, raw(served.url, WORKER) as connection:
        assert await connection.closed() == CloseCode.HELLO_TIMEOUT


def test_an_empty_registry_has_no_names_and_no_places() -> None:
    """`/readyz` sees this before any worker has connected."""
    workers = Workers(LocalHub())
    assert (workers.is_ready, workers.names(), workers.free("echo")) == (False, set(), 0)


def test_what_opens_a_conversation_is_not_in_a_repr() -> None:
    """Neither end shows tokens, as starts get logged."""
    job = StartJob("http://127.0.0.1:9", "ses_1", 1, "echo", "bridge-token", "audio-token")

    for start in (REQUEST, job):
        assert "ses_1" in repr(start)
        assert "token" not in repr(start)
