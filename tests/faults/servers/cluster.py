"""Several servers on one PostgreSQL and one Redis, each of which may be killed or cut off."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from tests.faults.servers.broken import SOUND
from tests.faults.servers.server import CrashingServer
from tests.network import Cable, island
from tests.programs.balancer import Balancer
from tests.programs.forked import FAULT, IS_POSSIBLE
from tests.programs.nginx import Nginx
from tests.programs.ports import free_port
from tests.programs.postgres import PostgresServer
from tests.programs.redis import RedisServer
from tests.programs.server_process import ServerProcess

DATABASE: Final = "cluster"
KILLS: Final = ("server", "server", "redis", "postgres")
"""What may be killed; servers more often."""
CUTS: Final = ("server from redis", "server from postgres")
"""What may lose every packet for a while."""
ROLL: Final = "rolling restart"
"""Every server is stopped and started, one after the other."""
CUT_S: Final = (0.5, 6.0)
"""The shortest and longest cut in seconds."""


class Cluster(CrashingServer):
    """Server processes behind a balancer; `kill` kills one of them, Redis or PostgreSQL, say.

    Args:
        folder: For the servers' data and logs.
        count: The number of server processes.
        rng: Chooses what `kill` does.
        acts: What `kill` may do: some of `KILLS`, `CUTS` and `ROLL`. For cuts, Redis and PostgreSQL
            are in network namespaces with a cable for each server.
        is_behind_nginx: Whether nginx spreads the connections, in place of a balancer that leaves
            out a killed server at once.
        fault: The fault to inject (tests/faults/servers/broken.py).
        environment: Settings, by the names of their variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 3,
        rng: random.Random | None = None,
        acts: Sequence[str] = KILLS,
        is_behind_nginx: bool = False,
        fault: str = SOUND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, fault=fault, environment=environment)
        self._rng = rng or random.Random()
        self._acts = list(acts)
        self._deck: list[str] = []
        """The acts that come before any act comes again."""
        self._has_cuts = bool({*acts} & {*CUTS})
        self._is_behind_nginx = is_behind_nginx
        self._cables: dict[str, list[Cable]] = {}
        """By Redis and PostgreSQL: one cable for each server."""
        self._exits = ExitStack()
        self.servers = [ServerProcess(self.data_dir) for _ in range(count)]
        self.killed: dict[str, int] = dict.fromkeys(self._acts, 0)
        self._front: Balancer | Nginx | None = None
        self._again: list[str] = []

    @property
    def database_url(self) -> str:
        """The URL of the database."""
        return self.postgres.url(DATABASE)

    async def __aenter__(self) -> Self:
        """Start everything."""
        assert self._fault == SOUND or IS_POSSIBLE, "faults are injected into forked servers"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        # It is killed without a checkpoint, so what it has acknowledged must be on disk.
        self.postgres = PostgresServer.new(
            fsync="on", full_page_writes="on", **self._place("postgres")
        )
        self.redis = RedisServer(**self._place("redis"))
        # In this thread: Linux ends PostgreSQL with the thread that has started it.
        self.postgres.start()
        await self.postgres.execute(f"CREATE DATABASE {DATABASE}")
        self.redis.start()
        settings = {
            "VOXQL_AGENT": "external",
            "VOXQL_PUBLIC_URL": self.url,
            FAULT: self._fault,
            **self._environment,
        }
        for number, server in enumerate(self.servers):
            at = {what: cables[number].there for what, cables in self._cables.items()}
            server.environment.update(
                settings,
                VOXQL_DATABASE_URL=self.postgres.url(DATABASE, at.get("postgres", "")),
                VOXQL_REDIS_URL=self.redis.url_at(at.get("redis", self.redis.host)),
            )
        ports = [int(server.environment["VOXQL_PORT"]) for server in self.servers]
        self._front = (
            Nginx(self.folder / "nginx", self.port, ports)
            if self._is_behind_nginx
            else Balancer(self.port, ports)
        )
        await self._front.__aenter__()
        await self.start()
        return self

    async def close(self) -> None:
        """End everything."""
        if self._front is not None:
            await self._front.__aexit__(None, None, None)
        for server in self.servers:
            if server._process is not None:
                await asyncio.to_thread(server.kill)
        self.redis.kill()
        self.postgres.remove()
        self._exits.close()

    def _place(self, what: str) -> dict[str, Any]:
        """Return where Redis or PostgreSQL listens."""
        if not self._has_cuts:
            return {}
        place = self._exits.enter_context(island(len(self.servers) + 1))
        ours, *self._cables[what] = place.cables
        return {
            "host": ours.there,
            "more_hosts": [cable.there for cable in self._cables[what]],
            "prefix": place.prefix,
        }

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
        """Kill one part; return -9, or the status of a server that had ended by itself.

        A cut, or a rolling restart, is over before this returns.
        """
        if not self._deck:
            self._deck = self._rng.sample(self._acts, len(self._acts))
        what = self._deck.pop()
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
        elif what == "postgres":
            self._again.append(what)
            self.postgres.kill()
        elif what == ROLL:
            status = await self._roll() or -9
        else:
            await self._cut(self._rng.choice(self._cables[what.removeprefix("server from ")]))
        return status

    async def _roll(self) -> int:
        await self.start()  # whatever was killed before
        for server in self.servers:
            status = await asyncio.to_thread(server.stop)
            self._keep_log(server)
            if status:
                return status
            await asyncio.to_thread(server.start)
        return 0

    async def _cut(self, cable: Cable) -> None:
        cable.lose()
        await asyncio.sleep(self._rng.uniform(*CUT_S))
        cable.carry()

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
