"""Several processes serve one port, and are replaced one after the other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.programs.forked import FAULT
from tests.programs.postgres import EmptyDatabase
from tests.programs.redis import RedisServer
from tests.programs.server_process import ROOT, ServerProcess

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def settings(postgres: EmptyDatabase, redis: RedisServer) -> dict[str, str]:
    """Settings of a server of several processes, with a database of its own."""
    name = f"workers_{os.getpid()}_{redis.port}"
    await postgres.server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await postgres.server.execute(f"CREATE DATABASE {name}")
    return {"VOXQL_DATABASE_URL": postgres.server.url(name), "VOXQL_REDIS_URL": redis.url}


@pytest.fixture
async def served(tmp_path: Path, settings: dict[str, str]) -> AsyncIterator[ServerProcess]:
    """Two workers."""
    server = ServerProcess(tmp_path / "data", **settings)
    server.arguments = ("--workers", "2")
    try:
        yield await asyncio.to_thread(server.start)
    finally:
        await asyncio.to_thread(server.stop)


def workers(server: ServerProcess) -> set[int]:
    return {one.pid for one in psutil.Process(server.process.pid).children()}


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - another process can only be polled
            await asyncio.sleep(0.05)


async def readiness(server: ServerProcess) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        found: dict[str, Any] = (await client.get(f"{server.url}/readyz")).json()
        return found


async def ready(server: ServerProcess, processes: int = 2) -> None:
    """Wait until the process that answers knows this many, and Redis."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await readiness(server)
            if (found["processes"], found["hub"], found["hubKind"]) == (
                processes,
                "ready",
                "redis",
            ):
                return
            await asyncio.sleep(0.05)


async def test_workers_are_replaced_and_started_again(served: ServerProcess) -> None:
    """On SIGHUP, one after the other, and when they die; no request is refused for a SIGHUP."""
    await ready(served)
    before = workers(served)
    assert len(before) == 2
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            async with httpx.AsyncClient() as client:
                statuses.append((await client.get(f"{served.url}/healthz")).status_code)

    asking = [asyncio.create_task(ask()) for _ in range(2)]
    served.process.send_signal(signal.SIGHUP)
    await until(lambda: sum("worker_restarted" in line for line in served.lines) == 2)
    for task in asking:
        assert not task.done(), task
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert set(statuses) == {200}
    assert not before & workers(served)
    await ready(served)

    first, second = workers(served)
    os.kill(first, signal.SIGKILL)
    await until(lambda: len(workers(served) - {first, second}) == 1)
    assert (await readiness(served))["database"] == "ready"
    await ready(served)
    left = workers(served)

    assert await asyncio.to_thread(served.stop) == 0

    await until(lambda: not any(map(psutil.pid_exists, left)))


async def guess(server: ServerProcess) -> str:
    """Try a wrong password; return the error's code."""
    query = """mutation {
        signIn(input: {email: "ada@example.com", password: "wrong horse"}) { viewer { id } }
    }"""
    async with httpx.AsyncClient() as client:
        answer = (await client.post(f"{server.url}/graphql", json={"query": query})).json()
    code: str = answer["errors"][0]["extensions"]["code"]
    return code


async def limited(kind: str, *servers: ServerProcess) -> None:
    """Wait until these servers say that they limit guesses in this way."""
    async with asyncio.timeout(WITHIN_S):
        for server in servers:
            while (await readiness(server))["rateLimits"] != kind:  # noqa: ASYNC110 - as `until`
                await asyncio.sleep(0.05)


async def test_servers_allow_no_more_guesses_than_one(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Without Redis each counts by itself, and says so; it still says that it is ready."""
    with RedisServer() as redis:
        shared = {**settings, "VOXQL_REDIS_URL": redis.url, FAULT: "waits_for_redis"}
        here, there = (ServerProcess(tmp_path / "data", **shared) for _ in range(2))
        try:
            for server in (here, there):
                await asyncio.to_thread(server.start)
            await limited("shared", here, there)
            assert [await guess(here) for _ in range(10)] == ["UNAUTHENTICATED"] * 10
            assert await guess(there) == "RATE_LIMITED"

            redis.kill()
            await limited("local", here, there)
            assert await guess(there) == "UNAUTHENTICATED"
            assert await guess(here) == "RATE_LIMITED"
            assert (await readiness(there))["status"] == "ready"

            redis.start()
            await limited("shared", here, there)
        finally:
            for server in (here, there):
                await asyncio.to_thread(server.kill)


async def test_accounts_are_managed_beside_the_workers(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """With the same settings; such a command shares no events."""
    environment = {**os.environ, **settings, "VOXQL_AGENT": "none"}
    command = [sys.executable, str(ROOT / "cli.py"), "user", "list"]
    listed = await asyncio.to_thread(
        subprocess.run,
        command,
        env={**environment, "VOXQL_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (listed.returncode, listed.stdout) == (0, ""), listed.stderr


async def refused(server: ServerProcess) -> str:
    """Start a server that must not start; return what it said."""
    with pytest.raises(AssertionError):
        await asyncio.to_thread(server.start)
    return "\n".join(server.lines)


async def test_several_workers_need_redis(tmp_path: Path) -> None:
    """The message names both settings."""
    server = ServerProcess(tmp_path / "data")
    server.arguments = ("--workers", "2")

    said = await refused(server)

    assert "VOXQL_REDIS_URL and VOXQL_DATABASE_URL" in said


async def test_workers_that_cannot_run_end_the_command(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Here the database does not exist."""
    url = settings["VOXQL_DATABASE_URL"] + "_missing"
    server = ServerProcess(tmp_path / "data", **{**settings, "VOXQL_DATABASE_URL": url})
    server.arguments = ("--workers", "2")

    said = await refused(server)

    assert "has no database" in said
    assert "could not start" in said


async def test_a_server_without_redis_is_kept_from_the_database(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """It would not hear of the others' events; nor would they of its own."""
    alone = {"VOXQL_DATABASE_URL": settings["VOXQL_DATABASE_URL"]}
    shared = ServerProcess(tmp_path / "shared", **settings)
    sole = ServerProcess(tmp_path / "sole", **alone)
    await asyncio.to_thread(shared.start)
    try:
        assert "set VOXQL_REDIS_URL for all of them" in await refused(sole)
    finally:
        await asyncio.to_thread(shared.stop)
    await asyncio.to_thread(sole.start)
    try:
        assert (await readiness(sole))["rateLimits"] == "local"
        assert "A server without VOXQL_REDIS_URL" in await refused(shared)
    finally:
        await asyncio.to_thread(sole.stop)
