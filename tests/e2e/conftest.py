"""Fixtures of the end-to-end tests: real servers with the real agent, on either transport."""

from collections.abc import Callable, Iterator

import pytest

from tests.attach.programs import AgentProgram
from tests.programs.server_process import ServerProcess
from tests.speech.sound import recordings

READY_WITHIN_S = 120.0

StartSpeaking = Callable[..., ServerProcess]
StartAgent = Callable[[str], AgentProgram]


@pytest.fixture(scope="session")
def start_speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSpeaking]:
    """Start servers whose shipped agent has loaded its models; stop them after the session."""
    servers: list[ServerProcess] = []

    def start(**environment: str) -> ServerProcess:
        recordings()  # report missing system packages before anything starts
        folder = tmp_path_factory.mktemp("speaking")
        # An agent's start-up time is not tested here.
        settings = {"VOXQL_AGENT": "local", "VOXQL_START_TIMEOUT_S": "60", **environment}
        servers.append(ServerProcess(folder, **settings))
        return ready(servers[-1].start())

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def greeting(start_speaking: StartSpeaking) -> ServerProcess:
    """A server whose agent speaks first, which is the default."""
    return start_speaking(VOXQL_GREETING="true")


@pytest.fixture(scope="session", params=["local", "livekit"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both transports: speech and storage are the same."""
    return str(request.param)


@pytest.fixture(scope="session")
def talking(transport: str, request: pytest.FixtureRequest) -> ServerProcess:
    """The shared server with this transport."""
    server: ServerProcess = request.getfixturevalue(
        "in_rooms" if transport == "livekit" else "speaking"
    )
    return server


def ready(server: ServerProcess) -> ServerProcess:
    """Wait until the server's agent accepts conversations."""
    server.wait_for("ready: conversations can begin", READY_WITHIN_S)
    return server
