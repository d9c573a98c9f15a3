"""A server that is killed and restarted, on the same port and folder."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import aiohttp
import psutil

from tests.faults.servers.broken import SOUND
from tests.programs.forked import launcher
from tests.programs.ports import free_port
from tests.programs.server_process import ROOT, ServerProcess, is_setting

SECONDS = 30.0
STARTS_WITHIN_S = 120.0
"""A traced server loads the app itself, at the low priority of the background tests."""


class CrashingServer:
    """The real app behind the launcher; enter it with `async with`, then `kill` and `start`.

    Args:
        folder: For its data, its log and, with `trace`, the record of its system calls.
        fault: The fault to inject (tests/faults/servers/broken.py).
        trace: The strace command to run it under.
        environment: Settings, by the names of their variables.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fault: str = SOUND,
        trace: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.database = self.data_dir / "voxql.db"
        self.log = folder / "server.log"
        self.port = 0
        self.pid = 0
        """Process id of the serving process."""
        self._fault = fault
        self._trace = trace
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._asked: asyncio.StreamWriter | None = None
        self._answers: asyncio.StreamReader | None = None

    @property
    def host(self) -> str:
        return self._environment.get("VOXQL_HOST", "127.0.0.1")

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def worker_key(self) -> str:
        return (self.data_dir / "worker.key").read_text().strip()

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        await self._launch()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop everything that was started."""
        if self._asked is None:
            return
        self._asked.close()
        self._asked = None
        if self._process is not None:
            await self._process.wait()

    async def _launch(self) -> None:
        if self._trace:
            command = [*self._trace, sys.executable, "-m", "tests.programs.launcher"]
            process = self._process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None
            assert process.stdout is not None
            self._answers, self._asked = process.stdout, process.stdin
        else:
            self._answers, self._asked = await asyncio.open_unix_connection(launcher())
        kept = {n: v for n, v in os.environ.items() if not is_setting(n)}
        wish = {
            "folder": str(self.data_dir),
            "port": self.port,
            "fault": self._fault,
            "environment": {**kept, **self._environment},
            "log": str(self.log),
        }
        await self._say(json.dumps(wish))

    async def begin(self) -> None:
        """Start the server without waiting until it answers."""
        await self._say("start")

    async def start(self) -> None:
        """Start the server and wait until it answers requests."""
        await self.begin()
        await self.opened()

    async def opened(self) -> None:
        """Wait until the server answers requests."""
        self.pid = int(await self._answer("open"))

    async def kill(self) -> int:
        """Kill the server with SIGKILL; return its status, -9 unless it had ended by itself."""
        await self._say("kill")
        return int(await self._answer("ended"))

    async def stop(self) -> int:
        """End the server with SIGTERM; return its status."""
        await self._say("term")
        return int(await self._answer("ended"))

    @property
    def resident(self) -> int:
        """The serving process's memory in bytes."""
        return psutil.Process(self.pid).memory_info().rss

    @property
    def connections(self) -> int:
        """The number of TCP connections that the serving process holds open."""
        held = psutil.Process(self.pid).net_connections("tcp")
        return sum(one.status != psutil.CONN_LISTEN for one in held)

    async def counts(self, sample: str, value: float) -> None:
        """Wait until /metrics shows this value for this sample, a name with labels."""
        async with asyncio.timeout(SECONDS), aiohttp.ClientSession() as http:
            wanted = f"{sample} {value}"
            while True:
                async with http.get(f"{self.url}/metrics") as response:
                    if wanted in (await response.text()).splitlines():
                        return
                await asyncio.sleep(0.1)

    async def _say(self, word: str) -> None:
        assert self._asked is not None
        self._asked.write(f"{word}\n".encode())
        await self._asked.drain()

    async def _answer(self, word: str) -> str:
        """Wait for a line with this word; skip others, e.g. an `open` made obsolete by a kill."""
        assert self._answers is not None
        async with asyncio.timeout(STARTS_WITHIN_S):
            while line := (await self._answers.readline()).decode():
                said, _, rest = line.strip().partition(" ")
                if said == word:
                    return rest
        raise AssertionError(f"the server never said {word!r}; its log is {self.log}")


class WholeServer(CrashingServer):
    """The command `voxql serve` itself, which takes some seconds to start."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment=environment)
        self._own = ServerProcess(self.data_dir, VOXQL_AGENT="external", **environment)

    async def close(self) -> None:
        await asyncio.to_thread(self._own.kill)

    async def _launch(self) -> None:
        return None

    async def begin(self) -> None:
        await self.start()

    async def start(self) -> None:
        self._own.environment["VOXQL_PORT"] = str(self.port)
        await asyncio.to_thread(self._own.start)

    async def opened(self) -> None:
        return None

    async def kill(self) -> int:
        await asyncio.to_thread(self._own.kill)
        self._keep_log()
        return self._own.process.returncode or 0

    async def stop(self) -> int:
        status = await asyncio.to_thread(self._own.stop)
        self._keep_log()
        return status

    def _keep_log(self) -> None:
        with self.log.open("a") as log:
            log.writelines(f"{line}\n" for line in self._own.lines)
