"""Agents in separate processes, and environments with other versions of livekit-agents."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import psutil

from tests.programs.livekit_server import LiveKitServer
from tests.programs.said import Program
from tests.programs.server_process import MANY_PLACES, ROOT, UNGREETED, is_setting
from tests.programs.shared import Shared, State, started
from tests.scheduling import hurry

OLDEST: Final = "1.2.0"
NEWEST: Final = "1.8.9"
"""The versions that voxql_bridge.attach supports, as in clients/python/README.md."""
READY_WITHIN_S: Final = 120.0


class AgentProgram(Program):
    """A LiveKit worker whose log can be waited for."""

    def __init__(
        self, command: Sequence[str | Path], livekit: LiveKitServer, **environment: str
    ) -> None:
        super().__init__(" ".join(Path(part).name for part in map(str, command)))
        self._process = subprocess.Popen(
            [*map(str, command)],
            env=_variables(livekit, **environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        hurry(self._process.pid)
        self.listen(self._process)

    def wait_for(self, words: str, timeout: float = 90, *, after: int = 0) -> None:
        """Wait until a log line contains these words, after this many other lines."""
        _wait_for(self, words, timeout, after)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def terminate(self) -> int:
        """Send SIGTERM; return the exit status."""
        self._process.terminate()
        return self._process.wait(90)

    def kill(self) -> None:
        """Kill the agent and the processes that it started."""
        if not self._has_ended or self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        self.heard_out(30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def agent_in_rooms(shared: Shared, livekit: LiveKitServer) -> Program:
    """Return the run's shared `voxql agent --livekit`; the first caller starts it."""
    name = "agent-in-rooms"

    def start(place: Path) -> State:
        agent = Program(name)
        command = shared.guarded(sys.executable, str(ROOT / "cli.py"), "agent", "--livekit")
        variables = _variables(livekit, VOXQL_AGENT_PLACES=MANY_PLACES)
        process = started(agent, command, place / "log", variables)
        _wait_for(agent, "registered at LiveKit", READY_WITHIN_S)
        return {"pid": process.pid}

    state = shared.once(name, start)
    agent = Program(name)
    agent.follow(shared.folder / name / "log", psutil.Process(state["pid"]).is_running)
    return agent


def _variables(livekit: LiveKitServer, **environment: str) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not is_setting(name)}
    ours = {"PYTHONUNBUFFERED": "1", **UNGREETED}
    return {**outside, **livekit.settings, **ours, **environment}


def _wait_for(program: Program, words: str, timeout: float, after: int = 0) -> None:
    def is_there() -> bool:
        return any(words in line for line in program.lines[after:])

    program.wait_until(is_there, timeout)
    log = "\n".join(program.lines)
    assert is_there(), f"{words!r} is not in the log:\n{log}"


def environment_with(shared: Shared, version: str, wheel: Path) -> Path:
    """Return the Python of an environment with that livekit-agents and the current wheel.

    The environment is kept in .cache. Only the wheel is reinstalled, once a run: more often could
    replace files that an agent is importing.
    """
    folder = ROOT / ".cache" / "attach" / version
    python = folder / "bin" / "python"

    def install(_: Path) -> State:
        stamp = folder / "installed"
        if not stamp.exists():
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(python), f"livekit-agents=={version}")
            stamp.touch()
        _uv(
            *("pip", "install", "--python", str(python), "--reinstall-package", "voxql-bridge"),
            str(wheel),
        )
        return {"installed": str(wheel)}

    shared.once(f"livekit-agents-{version}", install)
    return python


def _uv(*arguments: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "uv.py"), *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
