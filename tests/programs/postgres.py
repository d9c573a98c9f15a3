"""Run a real PostgreSQL server in a separate process, on a local port of its own."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import asyncpg
import psutil
import pytest

from models.database import migrate
from tests.programs.ports import free_port
from tests.programs.said import Program
from tests.programs.shared import Shared, State, started
from tests.scheduling import hurry

USER: Final = "voxql"
START_WITHIN_S: Final = 60.0

AS_POSTGRES: Final = (
    "setpriv",
    "--reuid=postgres",
    "--regid=postgres",
    "--init-groups",
    "--pdeathsig=KILL",
)
"""PostgreSQL refuses to run as root."""
_QUICK: Final = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}
"""For tests that cut no power."""
_TRIES: Final = 5
"""Another program may take a free port before the server binds it."""


class PostgresServer(Program):
    """Starts, stops and kills a PostgreSQL server, which keeps its port and data when restarted.

    Its language is English, so a test notices what is not compared byte by byte.

    Args:
        folder: Where its data is kept; the user `postgres` must be able to reach it.
        host: The local address to listen on.
        more_hosts: Other local addresses to listen on.
        prefix: A program, with its arguments, to run the server under.
        settings: Settings of PostgreSQL to add or override.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        more_hosts: Sequence[str] = (),
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> None:
        super().__init__(f"postgres in {folder.name}")
        self.folder = folder
        self.host = host
        self.more_hosts = tuple(more_hosts)
        self.prefix = tuple(prefix)
        self.settings = {**_QUICK, **settings}
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._guard: Shared | None = None
        self._log: Path | None = None
        """Both are set for a server that outlives the process that started it."""

    @classmethod
    def new(cls, **arguments: Any) -> "PostgresServer":
        """Return a server with a new folder; call `remove` at the end."""
        folder = Path(tempfile.mkdtemp(prefix="voxql-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        return cls(folder, **arguments)

    @classmethod
    def shared(cls, shared: Shared) -> "PostgresServer":
        """Return the server that the whole run shares; the first caller starts it."""

        def start(place: Path) -> State:
            server = cls.new()
            server._guard = shared
            server._log = place / "log"
            server.start()
            assert server._process is not None
            folder = str(server.folder)
            return {"pid": server._process.pid, "port": server.port, "folder": folder}

        state = shared.once("postgres", start)
        server = cls(Path(state["folder"]))
        server.port = state["port"]
        log = shared.folder / "postgres" / "log"
        server.follow(log, psutil.Process(state["pid"]).is_running)
        return server

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def url(self, database: str = USER, host: str = "") -> str:
        """Return the URL of a database, at the first of the server's addresses or this one."""
        return f"postgres://{USER}@{host or self.host}:{self.port}/{database}"

    def start(self) -> Self:
        """Start the server and wait until it accepts connections."""
        data = self.folder / "data"
        if not data.exists():
            self._run("initdb", "--pgdata", str(data), *_initial())
            with (data / "pg_hba.conf").open("a") as rules:
                for host in (self.host, *self.more_hosts):
                    rules.write(f"host all all {host}/30 trust\n")
        is_new = not self.port
        for _ in range(_TRIES):
            self.port = self.port or free_port()
            if self._start(data):
                return self
            if is_new:
                self.port = 0
        raise AssertionError("PostgreSQL did not start:\n" + "\n".join(self.lines))

    def stop(self) -> None:
        """Close all connections and shut down in good order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it without a checkpoint, as a crash would."""
        self._end(signal.SIGQUIT)

    def restart(self) -> Self:
        """End it as a crash would, and start it again on the same port and data."""
        self.kill()
        return self.start()

    def remove(self) -> None:
        """Kill the server and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def standby(self) -> "PostgresServer":
        """Return another server, not started yet, that follows this one until it is promoted."""
        other = PostgresServer.new(**self.settings)
        where = ("--host", self.host, "--port", str(self.port), "--username", USER)
        copy = ("--pgdata", str(other.folder / "data"), "--write-recovery-conf")
        other._run("pg_basebackup", *where, *copy, "--checkpoint=fast")
        return other

    async def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement."""
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _start(self, data: Path) -> bool:
        settings = {
            "port": str(self.port),
            "listen_addresses": ",".join((self.host, *self.more_hosts)),
            "unix_socket_directories": "",
            **self.settings,
        }
        given = [f"-c{name}={value}" for name, value in settings.items()]
        command = [*self.prefix, *_prefix(), str(_binary("postgres")), "-D", str(data), *given]
        if self._guard is not None and self._log is not None:
            self._process = started(
                self, self._guard.guarded(*command), self._log, dict(os.environ)
            )
        else:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=self.folder,
            )
            hurry(self._process.pid)
            self.listen(self._process)
        self.wait_until(self._is_open, START_WITHIN_S)
        if not self._is_open() or self._process.poll() is not None:
            self.kill()
            return False
        return True

    def _is_open(self) -> bool:
        # A standby accepts "read-only connections".
        return any("database system is ready to accept" in line for line in self.lines)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_prefix(), str(_binary(program)), *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.heard_out()
        self._process = None


class EmptyDatabase:
    """A migrated database of this test process, emptied for each test.

    Creating one for each test would keep the server busy with checkpoints.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = f"voxql_{os.getpid()}"
        self._is_new = True

    async def url(self) -> str:
        """Return the URL of the database, which is empty now."""
        url = self.server.url(self.name)
        if self._is_new:
            await self.server.execute(f"CREATE DATABASE {self.name}")
            await migrate(url)
            self._is_new = False
        else:
            # Everything else refers to users.
            await self.server.execute("DELETE FROM users; DELETE FROM search_due", self.name)
        return url


def _prefix() -> tuple[str, ...]:
    return AS_POSTGRES if os.geteuid() == 0 else ()


def _initial() -> list[str]:
    version = subprocess.run([_binary("initdb"), "--version"], capture_output=True, text=True)
    number = int(re.findall(r"\d+", version.stdout)[0])
    icu = ["--locale-provider=icu", "--icu-locale=en-US"] if number >= 15 else []
    return [
        f"--username={USER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        *icu,
        "--no-sync",
        "--no-instructions",
    ]


def _binary(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs; fail with instructions if there is none."""
    if found := shutil.which(name):
        return Path(found)
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        pytest.fail("\nPostgreSQL is missing: sudo apt-get install postgresql", pytrace=False)
    return newest
