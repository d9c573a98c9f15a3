"""Two servers on one PostgreSQL, one Redis and one LiveKit."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.faults.servers.stage import Agent
from tests.livekit.hall import hall, until
from tests.programs.livekit_server import LiveKitServer
from tests.programs.postgres import EmptyDatabase
from tests.programs.redis import RedisServer

PATIENCE = {"VOXQL_ABANDON_S": "8", "VOXQL_GRACE_S": "60"}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def test_a_conversation_outlives_the_server_of_its_agent(
    tmp_path: Path,
    start_server: StartServer,
    livekit: LiveKitServer,
    postgres: EmptyDatabase,
    redis: RedisServer,
) -> None:
    """The person is in the room all the time, so only somebody who is really absent is missed."""
    name = f"rooms_{os.getpid()}_{redis.port}"
    await postgres.server.execute(f"CREATE DATABASE {name}")
    settings = {
        "VOXQL_AGENT": "livekit",
        "VOXQL_DATABASE_URL": postgres.server.url(name),
        "VOXQL_REDIS_URL": redis.url,
        **PATIENCE,
        **livekit.settings,
    }
    here = start_server(tmp_path / "shared", **settings)
    there = start_server(tmp_path / "shared", **settings)
    async with hall(here, livekit) as on:

        async def are(processes: int) -> bool:
            return bool((await on.readiness())[1]["processes"] == processes)

        # Each process looks every second which others there are.
        await until(lambda: are(2))
        worker = await on.worker()
        started = await on.start()
        session = started["session"]["id"]
        await on.person(started["connection"])
        job = await worker.job()
        agent = await on.exits.enter_async_context(Agent(there.url, job.told["token"]))
        await agent.ready()
        await on.becomes(session, "ACTIVE")
        assert (await on.read(session))["agentState"] is not None
        agent.say("Heard by the other server.")
        await agent.settled()

        there.kill()
        again = await on.exits.enter_async_context(Agent(here.url, job.told["token"]))
        await again.ready()
        again.say("Heard by this one.")
        await again.settled()

        await until(lambda: are(1))
        absent, _, _, _ = await on.talk(worker)
        await on.becomes(absent, "ENDING")
        assert (await on.read(session))["status"] == "ACTIVE"
        assert await on.texts(session) == ["Heard by the other server.", "Heard by this one."]
