"""Run a real `voxql serve` in a separate process, with its own port and data folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

from tests.programs.forked import IS_POSSIBLE, Forked
from tests.programs.ports import free_port
from tests.programs.said import Program
from tests.programs.shared import Shared, State, started
from tests.scheduling import hurry

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN_S = 120.0
START_TIMEOUT_S = "25"
"""Start time-out for agents that may be slow, shorter than a test's own time-outs."""
UNGREETED = {"VOXQL_GREETING": "false"}
"""Agents in tests greet nobody, unless the greeting is what is tested."""
MANY_PLACES = "40"
"""Enough places for everyone who talks with a shared agent; each is kept a minute after hang-up."""


class ServerProcess(Program):
    """Starts, stops and kills the server; its data stays in `data_dir`.

    Args:
        data_dir: Where the server keeps its data.
        environment: Settings, by the names of their variables.
    """

    def __init__(self, data_dir: Path, **environment: str) -> None:
        super().__init__(f"voxql serve in {data_dir.name}")
        self.data_dir = data_dir
        # Chosen here so that the server keeps its port when restarted.
        self.environment = {"VOXQL_PORT": str(free_port()), **environment}
        self.arguments: tuple[str, ...] = ()
        """Arguments of `voxql serve`."""
        self.prefix: tuple[str, ...] = ()
        """A program, with its arguments, to run the server under."""
        self.url = ""
        self._process: subprocess.Popen[str] | Forked | None = None

    @property
    def process(self) -> subprocess.Popen[str] | Forked:
        """The current process, or the last one."""
        assert self._process is not None, "the server was never started"
        return self._process

    @classmethod
    def shared(
        cls, shared: Shared, name: str, ready: str = "  open ", **environment: str
    ) -> "ServerProcess":
        """Return the server that the whole run shares; the first caller starts it.

        Args:
            shared: The programs that the run shares.
            name: The server's name.
            ready: The text that the server prints once it can be used.
            environment: The server's settings.
        """

        def start(place: Path) -> State:
            server = cls(place / "data", **environment)
            command = shared.guarded(*server.command)
            server._process = started(server, command, place / "log", server.variables)
            server._opened()
            server.wait_for(ready)
            return {"pid": server.process.pid, "url": server.url}

        state = shared.once(name, start)
        server = cls(shared.folder / name / "data", **environment)
        server.url = state["url"]
        process = psutil.Process(state["pid"])
        server.follow(shared.folder / name / "log", process.is_running)
        return server

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.url.rpartition(":")[2])

    @property
    def command(self) -> list[str]:
        """The command line that starts the server."""
        return [*self.prefix, sys.executable, str(ROOT / "cli.py"), "serve", *self.arguments]

    @property
    def variables(self) -> dict[str, str]:
        """The server's environment."""
        kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
        ours = {"VOXQL_DATA_DIR": str(self.data_dir), "VOXQL_AGENT": "none"}
        return {**kept, **ours, **UNGREETED, **self.environment}

    def start(self) -> Self:
        """Start the server, wait until it answers requests, and set `url`."""
        if IS_POSSIBLE and not self.prefix:
            self._process = Forked(["serve", *self.arguments], self.variables)
        else:
            self._process = subprocess.Popen(
                self.command,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            hurry(self._process.pid)
        self.listen(self._process)
        self._opened()
        return self

    def _opened(self) -> None:
        try:
            self.url = self.wait_for("  open ").split()[1].rstrip("/")
        except AssertionError:
            self.kill()
            raise

    def wait_for(self, text: str, within: float = START_WITHIN_S) -> str:
        """Return the first line that contains this text; fail if none comes in time."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        self.wait_until(found, within)
        line = found()
        assert line is not None, f"no line with {text!r} in:\n" + "\n".join(self.lines)
        return line

    def stop(self, within: float = 30.0) -> int:
        """Send SIGTERM and return the exit status."""
        return self._end(signal.SIGTERM, within)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL, 10.0)

    def _end(self, number: signal.Signals, within: float) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"did not end within {within} s:\n" + "\n".join(self.lines)
            ) from None
        self.heard_out()
        return status


def is_setting(name: str) -> bool:
    """Whether this variable would change what a server or an agent does."""
    return name.startswith(("VOXQL_", "LIVEKIT_"))
