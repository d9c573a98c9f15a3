"""Run a real nginx in front of several servers, with no stickiness."""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import create_connection
from typing import Final, Self

import pytest

from tests.scheduling import hurry

PATHS: Final = f"{os.environ['PATH']}:/usr/sbin:/sbin"
"""Debian keeps nginx where only root looks."""
START_WITHIN_S: Final = 20.0

# max_fails=0, as in docs/deployment.md: otherwise nginx sends a server that was away only one
# connection in each `fail_timeout`, until a request to it has ended. WebSockets don't end.
_SITE: Final = """daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    {temporary}
    upstream voxql {{ {servers} }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 8m;
        location / {{
            proxy_pass http://voxql;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
        }}
    }}
}}
"""


class Nginx:
    """Passes each connection to one of the servers, in turn; enter it with `async with`.

    Args:
        folder: For its configuration and logs.
        port: The local port to listen on.
        ports: The servers' local ports.
    """

    def __init__(self, folder: Path, port: int, ports: Sequence[int]) -> None:
        self._folder = folder
        self._port = port
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        self._folder.mkdir(parents=True)
        temporary = (
            f"{name}_temp_path {self._folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = (f"server 127.0.0.1:{port} max_fails=0;" for port in self._ports)
        path = self._folder / "nginx.conf"
        path.write_text(
            _SITE.format(
                folder=self._folder,
                temporary=" ".join(temporary),
                servers=" ".join(servers),
                port=self._port,
            )
        )
        program = shutil.which("nginx", path=PATHS)
        if program is None:
            pytest.fail("\nnginx is missing: sudo apt-get install nginx-light", pytrace=False)
        self._process = subprocess.Popen(
            [program, "-c", str(path), "-e", str(self._folder / "error.log")]
        )
        hurry(self._process.pid)
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it and all connections."""
        assert self._process is not None
        self._process.terminate()
        await asyncio.to_thread(self._process.wait)

    def _open(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), create_connection(("127.0.0.1", self._port), 1):
                return
            time.sleep(0.02)
        log = self._folder / "error.log"
        raise AssertionError(log.read_text() if log.exists() else "nginx did not start")
