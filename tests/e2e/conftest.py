"""Fixtures of the end-to-end tests: real servers with the real agent."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.sound import recordings
from tests.server_process import ServerProcess

READY_WITHIN_S = 60.0
PLACES = 3
"""Conversations at once, on the two cores that the checks run on."""

StartSpeaking = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def start_speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSpeaking]:
    """Start servers with the shipped agent, which has loaded its models; all end at the end."""
    servers: list[ServerProcess] = []

    def start(**environment: str) -> ServerProcess:
        recordings()  # what is missing from the system is better said before anything is started
        folder = tmp_path_factory.mktemp("speaking")
        servers.append(ServerProcess(folder, VOXQL_AGENT="local", **environment))
        return ready(servers[-1].start())

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def speaking(start_speaking: StartSpeaking) -> ServerProcess:
    """The server that most of these tests share."""
    return start_speaking(VOXQL_AGENT_PLACES=str(PLACES))


def ready(server: ServerProcess) -> ServerProcess:
    """Wait until its agent can be talked to."""
    server.wait_for("ready: conversations can begin", READY_WITHIN_S)
    return server
