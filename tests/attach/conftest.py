"""The bridge's real endpoint, with a recorder in place of the server."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.attach.programs import NEWEST, OLDEST, environment_with
from tests.programs.server_process import ROOT
from tests.programs.shared import Shared, State
from tests.voice.server import Server

SESSION = "ses_a"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """`/bridge` and `/audio`, without an agent."""
    async with Server().running() as server:
        yield server


def dispatch(server: Server, session: str = SESSION, attempt: int = 1) -> dict[str, Any]:
    """Return the metadata that VoxQL writes into a job."""
    token = server.tokens.bridge(session, attempt)
    return {"voxql": {"url": server.url, "session": session, "attempt": attempt, "token": token}}


@pytest.fixture(scope="session")
def wheel(shared: Shared) -> Path:
    """The wheel that integrators install, built like a release."""

    def build(place: Path) -> State:
        options = ["--wheel", "--no-isolation", "--outdir", str(place)]
        command = [sys.executable, "-m", "build", *options, str(ROOT / "clients" / "python")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        [built] = place.glob("*.whl")
        return {"built": str(built)}

    return Path(shared.once("bridge-wheel", build)["built"])


@pytest.fixture(scope="session", params=[OLDEST, NEWEST])
def python(request: pytest.FixtureRequest, shared: Shared, wheel: Path) -> Path:
    """A Python with the wheel and the oldest, then the newest supported livekit-agents."""
    return environment_with(shared, request.param, wheel)
