"""Several servers on one PostgreSQL and one Redis, each of which may be killed."""

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from tests.faults.servers.server import CrashingServer
from tests.programs.balancer import Balancer
from tests.programs.ports import free_port
from tests.programs.postgres import PostgresServer
from tests.programs.redis import RedisServer
from tests.programs.server_process import ServerProcess

DATABASE: Final = "cluster"
ACTS: Final = ("server", "server", "server", "redis", "postgres")
"""What may be killed; servers more often."""


class Cluster(CrashingServer):
    """Server processes behind a balancer; `kill` kills one of them, Redis or PostgreSQL.

    Args:
        folder: For the servers' data and logs.
        count: The number of server processes.
        rng: Chooses what is killed.
        environment: Settings, by the names of their variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 3,
        rng: random.Random | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        self._rng = rng or random.Random()
        # It is killed without a checkpoint, so what it has acknowledged must be on disk.
        self.postgres = PostgresServer.new(fsync="on", full_page_writes="on")
        self.redis = RedisServer()
        self.servers = [ServerProcess(self.data_dir) for _ in range(count)]
        self.killed: dict[str, int] = dict.fromkeys(ACTS, 0)
        self._balancer: Balancer | None = None
        self._again: list[str] = []

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.postgres.url(DATABASE)

    async def __aenter__(self) -> Self:
        """Start everything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # In this thread: Linux ends PostgreSQL with the thread that has started it.
        self.postgres.start()
        await self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        self.redis.start()
        settings = {
            "VOXQL_AGENT": "external",
            "VOXQL_PUBLIC_URL": self.url,
            "VOXQL_DATABASE_URL": self.database_url,
            "VOXQL_REDIS_URL": self.redis.url,
            **self._environment,
        }
        for server in self.servers:
            server.environment.update(settings)
        self._balancer = Balancer(
            self.port, [int(server.environment["VOXQL_PORT"]) for server in self.servers]
        )
        await self._balancer.__aenter__()
        await self.start()
        return self

    async def close(self) -> None:
        """End everything."""
        if self._balancer is not None:
            await self._balancer.__aexit__(None, None, None)
        for server in self.servers:
            if server._process is not None:
                await asyncio.to_thread(server.kill)
        self.redis.kill()
        self.postgres.remove()

    async def begin(self) -> None:
        """Start what was killed."""
        await self.start()

    async def start(self) -> None:
        """Start everything that does not run."""
        if "postgres" in self._again:
            self.postgres.start()
        if "redis" in self._again:
            self.redis.start()
        self._again.clear()
        waiting = [one for one in self.servers if one._process is None or _has_ended(one)]
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in waiting))

    async def opened(self) -> None:
        """Do nothing: `start` waits."""

    async def kill(self) -> int:
        """Kill one part; return -9, or the status of a server that had ended by itself."""
        what = self._rng.choice(ACTS)
        self.killed[what] += 1
        status = -9
        if what == "server":
            server = self._rng.choice(self.servers)
            await asyncio.to_thread(server.kill)
            self._keep_log(server)
            status = server.process.returncode or 0
        elif what == "redis":
            self._again.append(what)
            await asyncio.to_thread(self.redis.kill)
        else:
            self._again.append(what)
            self.postgres.kill()
        return status

    async def stop(self) -> int:
        """End all servers with SIGTERM; return a status that is not 0, if there is one."""
        statuses = await asyncio.gather(
            *(asyncio.to_thread(server.stop) for server in self.servers)
        )
        for server in self.servers:
            self._keep_log(server)
        return next(filter(None, statuses), 0)

    def _keep_log(self, server: ServerProcess) -> None:
        with self.log.open("a") as log:
            log.writelines(f"{line}\n" for line in server.lines)


def _has_ended(server: ServerProcess) -> bool:
    return server.process.poll() is not None
