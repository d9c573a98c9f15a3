"""Run a real Redis server in a separate process, on a local port of its own."""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import pytest

from tests.programs.ports import free_port
from tests.programs.said import Program
from tests.scheduling import hurry

_START_WITHIN_S: Final = 30.0


class RedisServer(Program):
    """Starts, stops, freezes and kills a Redis server, which keeps its port when restarted.

    Args:
        host: The local address to listen on.
        more_hosts: Other local addresses to listen on.
        prefix: A program, with its arguments, to run the server under.
        settings: Settings of Redis to add or override.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        more_hosts: Sequence[str] = (),
        prefix: Sequence[str] = (),
        **settings: str,
    ) -> None:
        super().__init__("redis")
        self.host = host
        self.more_hosts = tuple(more_hosts)
        self.port = free_port()
        self.prefix = tuple(prefix)
        self.settings = settings
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    @property
    def url(self) -> str:
        """The server's URL."""
        return self.url_at(self.host)

    def url_at(self, host: str) -> str:
        """Return the URL of the server at one of its addresses."""
        password = self.settings.get("requirepass", "")
        return url(self.settings, f"{f':{password}@' if password else ''}{host}:{self.port}/0")

    def start(self) -> Self:
        """Start the server and wait until it accepts connections."""
        self._process = subprocess.Popen(
            [*self.prefix, _binary(), *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        hurry(self._process.pid)
        self.listen(self._process)
        self.wait_until(self._is_open, _START_WITHIN_S)
        assert self._is_open(), "Redis did not start:\n" + "\n".join(self.lines)
        return self

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            self.heard_out()

    def freeze(self) -> None:
        """Let it keep its connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()

    def _arguments(self) -> list[str]:
        settings = {
            **self._ports(),
            "bind": " ".join((self.host, *self.more_hosts)),
            # Only tests can reach the addresses that it listens on.
            "protected-mode": "no",
            "save": "",
            "appendonly": "no",
            **self.settings,
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def _ports(self) -> dict[str, str]:
        port = str(self.port)
        return {"port": "0", "tls-port": port} if has_tls(self.settings) else {"port": port}

    def _is_open(self) -> bool:
        return any("Ready to accept connections" in line for line in self.lines)


def tls(certificate: Path, key: Path) -> dict[str, str]:
    """Return the settings of a server that speaks TLS only."""
    return {
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(certificate),
        "tls-auth-clients": "no",
        "tls-replication": "yes",
        "tls-cluster": "yes",
    }


def has_tls(settings: Mapping[str, str]) -> bool:
    """Whether a server with these settings speaks TLS only."""
    return "tls-cert-file" in settings


def url(settings: Mapping[str, str], rest: str, kind: str = "") -> str:
    """Return a URL with what comes after the scheme."""
    if not has_tls(settings):
        return f"redis{kind}://{rest}"
    return f"rediss{kind}://{rest}?ssl_ca_certs={settings['tls-ca-cert-file']}"


def _binary() -> str:
    """Return the path of Redis or Valkey; fail with instructions if there is neither."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        pytest.fail("\nRedis is missing: sudo apt-get install redis-server", pytrace=False)
    return found
