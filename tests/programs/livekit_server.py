"""Run a real LiveKit server in a separate process, on its own local ports."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import psutil
import pytest

from tests.programs.ports import free_port
from tests.programs.said import Program
from tests.programs.server_process import ROOT
from tests.programs.shared import Shared, State, started
from tests.scheduling import hurry

KEY: Final = "testkey"
SECRET: Final = "a secret of the tests, long enough for SHA-256"
START_WITHIN_S: Final = 60.0

_TRIES: Final = 5
"""Another program may take a free port before the server binds it."""


class LiveKitServer(Program):
    """Starts, stops and kills a LiveKit server, which keeps its ports when restarted.

    Args:
        folder: Where its configuration and its log are kept.
        webhooks: URLs that receive its webhooks.
        host: The local address to listen on.
        device: The network device that has this address.
        prefix: A program, with its arguments, to run the server under.
        config: Entries to add to its configuration or override in it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        webhooks: Sequence[str] = (),
        host: str = "127.0.0.1",
        device: str = "",
        prefix: Sequence[str] = (),
        **config: Any,
    ) -> None:
        super().__init__(f"livekit-server in {folder.name}")
        self.folder = folder
        self.webhooks = tuple(webhooks)
        self.host = host
        self.devices = [device] if device else ["lo", "lo0"]
        self.prefix = tuple(prefix)
        self.config = config
        self.ports: tuple[int, int, int] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._guard: Shared | None = None
        """Set for a server that outlives the process that started it."""

    @property
    def url(self) -> str:
        """The WebSocket URL for clients and agents."""
        assert self.ports is not None, "the server was never started"
        return f"ws://{self.host}:{self.ports[0]}"

    @property
    def http_url(self) -> str:
        """The HTTP URL."""
        return self.url.replace("ws", "http", 1)

    @property
    def settings(self) -> dict[str, str]:
        """The environment variables that VoxQL and its agent need."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
        }

    def start(self) -> Self:
        """Start the server and wait until it accepts connections."""
        is_new = self.ports is None
        for _ in range(_TRIES):
            self.ports = self.ports or (free_port(), free_port(), free_port())
            if self._start():
                return self
            if is_new:
                self.ports = None
        raise AssertionError("the LiveKit server did not start:\n" + "\n".join(self.lines))

    def stop(self) -> None:
        """Send SIGTERM, so it closes its rooms; kill it if it doesn't end in time."""
        self._end(by_force=False)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(by_force=True)

    def restart(self) -> Self:
        """Kill the server, which loses its rooms, and start it again on the same ports."""
        self.kill()
        return self.start()

    @classmethod
    def shared(cls, shared: Shared) -> "LiveKitServer":
        """Return the server that the whole run shares; the first caller starts it."""

        def start(place: Path) -> State:
            server = cls(place)
            server._guard = shared
            server.start()
            assert server._process is not None
            return {"pid": server._process.pid, "ports": server.ports}

        state = shared.once("livekit", start)
        server = cls(shared.folder / "livekit")
        server.ports = tuple(state["ports"])
        server.follow(server.folder / "log", psutil.Process(state["pid"]).is_running)
        return server

    def _start(self) -> bool:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "livekit.yaml"
        path.write_text(json.dumps(self._configuration()))  # YAML accepts JSON
        command = [*self.prefix, binary(), "--node-ip", self.host, "--config", str(path)]
        if self._guard is not None:
            command = self._guard.guarded(*command)
            self._process = started(self, command, self.folder / "log", dict(os.environ))
        else:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            hurry(self._process.pid)
            self.listen(self._process)
        self.wait_until(self._is_open, START_WITHIN_S)
        if not self._is_open() or self._process.poll() is not None:
            self.kill()
            return False
        return True

    def _is_open(self) -> bool:
        # The server logs this once its listening sockets are open.
        return any("starting LiveKit server" in line for line in self.lines)

    def _configuration(self) -> dict[str, Any]:
        assert self.ports is not None
        http, tcp, udp = self.ports
        return {
            "port": http,
            "bind_addresses": [self.host],
            "rtc": {
                "tcp_port": tcp,
                "udp_port": udp,
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "node_ip": self.host,
                "interfaces": {"includes": self.devices},
                # Nothing listens there: tests must not contact other machines.
                "stun_servers": ["127.0.0.1:3478"],
            },
            "keys": {KEY: SECRET},
            # As in production (docs/livekit.md). Otherwise an agent that reconnects while its room
            # is being deleted stays alone in a new one.
            "room": {"auto_create": False},
            "webhook": {"api_key": KEY, "urls": list(self.webhooks)},
            "logging": {"level": "info", "json": True},
            **self.config,
        }

    def _end(self, *, by_force: bool) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.kill() if by_force else process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:  # it waits for participants who do not leave
                process.kill()
                process.wait()
        self.heard_out()
        self._process = None


def binary() -> str:
    """Return the path of the LiveKit binary; fail with instructions if there is none."""
    found = subprocess.run(
        [ROOT / "scripts" / "livekit-server", "path"], capture_output=True, text=True
    )
    if found.returncode != 0:
        pytest.fail("\n" + found.stderr, pytrace=False)
    return found.stdout.strip()
