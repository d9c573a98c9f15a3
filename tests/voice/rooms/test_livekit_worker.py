"""A worker at a real LiveKit server, without models or conversations."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from livekit import api
from typer.testing import CliRunner

import cli
from agent.answers import Responder
from agent.conversation import Minds
from agent.room_worker import LiveKitSettings, RoomWorker
from agent_bridge.attaching.announcing import STANDS_S, notice_of
from tests.conftest import StartLiveKit
from tests.livekit.hall import until
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer

WITHIN_S = 60.0


@asynccontextmanager
async def registering(
    livekit: LiveKitServer, name: str, places: int
) -> AsyncIterator[asyncio.Semaphore]:
    """Run a worker; yield a semaphore that is released at each registration."""
    registered = asyncio.Semaphore(0)
    worker = RoomWorker(Minds(Responder(), None, None), places)
    where = LiveKitSettings(livekit.url, KEY, SECRET)
    running = asyncio.create_task(worker.run(where, name, registered.release))
    try:
        yield registered
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_livekit_that_is_away_is_waited_for(
    start_livekit: StartLiveKit, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker logs the outage, retries, and registers; it also does so after a later outage."""
    livekit = await asyncio.to_thread(start_livekit)
    livekit.kill()
    async with registering(livekit, "waiting", 1) as registered, asyncio.timeout(WITHIN_S):
        while "failed to connect to livekit" not in caplog.text:  # noqa: ASYNC110 - a log signals nothing
            await asyncio.sleep(0.01)
        assert registered.locked()
        await asyncio.to_thread(livekit.start)
        await registered.acquire()
        await asyncio.to_thread(livekit.restart)
        await registered.acquire()
    assert registered.locked()


async def test_a_worker_says_that_it_has_come(livekit: LiveKitServer) -> None:
    """A room, which dispatches no worker, announces the worker once LiveKit has accepted it."""
    name = f"announced-{uuid4().hex}"

    async with api.LiveKitAPI(livekit.http_url, KEY, SECRET) as control:

        async def look() -> list[api.Room]:
            wanted = api.ListRoomsRequest(names=[notice_of(name)])
            return list((await control.room.list_rooms(wanted)).rooms)

        assert await look() == []
        async with registering(livekit, name, 1) as registered:
            await asyncio.wait_for(registered.acquire(), WITHIN_S)
            [room] = await until(look)
        asked = await control.agent_dispatch.list_dispatch(room.name)

    assert room.empty_timeout == STANDS_S
    assert [one.agent_name for one in asked] == ["voxql-nobody"]


async def test_a_place_costs_nothing_while_nobody_has_it(livekit: LiveKitServer) -> None:
    """Idle places have no threads of their own: at a hundred, their wake-ups would fill a core."""
    threads = []
    for places in (3, 200):
        async with registering(livekit, f"idle-{places}", places) as registered:
            await asyncio.wait_for(registered.acquire(), WITHIN_S)
            threads.append(threading.active_count())
    assert threads[1] < threads[0] + 20


@pytest.mark.parametrize("missing", ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"])
def test_without_livekits_settings_it_says_what_is_missing(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence and status 78, for which a restart would not help."""
    given = {
        "LIVEKIT_URL": "ws://127.0.0.1:7880",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "secret",
    }
    del given[missing]
    # Don't let it configure the logging of the test process.
    monkeypatch.setattr("serving.process.logs.log_to_stderr", lambda *_: None)

    done = CliRunner().invoke(cli.app, ["agent", "--livekit"], env=given)

    assert done.exit_code == 78
    assert done.stderr == f"voxql: voxql agent --livekit needs {missing}; see docs/settings.md\n"
