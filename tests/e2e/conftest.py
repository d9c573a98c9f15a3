"""Fixtures of the end-to-end tests: real servers with the real agent, on either transport."""

from collections.abc import Callable, Iterator

import pytest

from tests.attach.programs import AgentProgram
from tests.e2e.sound import recordings
from tests.server_process import ServerProcess

READY_WITHIN_S = 120.0

StartSpeaking = Callable[..., ServerProcess]
StartAgent = Callable[[str], AgentProgram]


@pytest.fixture(scope="session")
def start_speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSpeaking]:
    """Start servers with the shipped agent, which has loaded its models; all end at the end."""
    servers: list[ServerProcess] = []

    def start(**environment: str) -> ServerProcess:
        recordings()  # what is missing from the system is better said before anything is started
        folder = tmp_path_factory.mktemp("speaking")
        # How long an agent takes to begin says nothing about what is tested here.
        settings = {"VOXQL_AGENT": "local", "VOXQL_START_TIMEOUT_S": "60", **environment}
        servers.append(ServerProcess(folder, **settings))
        return ready(servers[-1].start())

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def greeting(start_speaking: StartSpeaking) -> ServerProcess:
    """A server whose agent speaks first, as it does unless it is told otherwise."""
    return start_speaking(VOXQL_GREETING="true")


@pytest.fixture(scope="session", params=["local", "livekit"])
def transport(request: pytest.FixtureRequest) -> str:
    """Either way for sound: what is said and stored is the same."""
    return str(request.param)


@pytest.fixture(scope="session")
def talking(transport: str, request: pytest.FixtureRequest) -> ServerProcess:
    """The shared server with this transport."""
    server: ServerProcess = request.getfixturevalue(
        "in_rooms" if transport == "livekit" else "speaking"
    )
    return server


def ready(server: ServerProcess) -> ServerProcess:
    """Wait until its agent can be talked to."""
    server.wait_for("ready: conversations can begin", READY_WITHIN_S)
    return server
