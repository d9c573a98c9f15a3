"""Run a real pgbouncer in transaction mode before a PostgreSQL server."""

import os
import shutil
import subprocess
from contextlib import suppress
from typing import Final, Self

import pytest

from tests.programs.ports import free_port
from tests.programs.postgres import AS_POSTGRES, USER, PostgresServer
from tests.programs.said import Program

_START_WITHIN_S: Final = 30.0


class PgBouncer(Program):
    """Shares few connections to PostgreSQL among all clients."""

    def __init__(self, server: PostgresServer, connections: int = 4) -> None:
        super().__init__("pgbouncer")
        self.port = free_port()
        self._server = server
        self._connections = connections
        self._process: subprocess.Popen[str] | None = None

    def url(self, database: str) -> str:
        """Return the URL of a database behind the pooler."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}?pgbouncer=true"

    def __enter__(self) -> Self:
        """Start it, and wait until it listens."""
        binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if binary is None:
            pytest.fail("\npgbouncer is missing: sudo apt-get install pgbouncer", pytrace=False)
        settings = self._server.folder / "pgbouncer.ini"
        settings.write_text(self._settings())
        settings.chmod(0o644)
        prefix = AS_POSTGRES if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [*prefix, binary, str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._server.folder,
        )
        self.listen(self._process)
        self.wait_until(lambda: any("process up" in line for line in self.lines), _START_WITHIN_S)
        assert self._process.poll() is None, "\n".join(self.lines)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self.heard_out()

    def _settings(self) -> str:
        return f"""
[databases]
* = host=127.0.0.1 port={self._server.port} user={USER}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {self._connections}
max_client_conn = 200
"""
