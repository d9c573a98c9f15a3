"""Fixtures of the tests that need a real LiveKit server."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.livekit.hall import Hall, hall
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ServerProcess


@pytest.fixture(scope="session")
def over_livekit(
    livekit: LiveKitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """The server that most of these tests share, with default settings."""
    folder = tmp_path_factory.mktemp("over-livekit")
    server = ServerProcess(folder, VOXQL_AGENT="livekit", **livekit.settings)
    yield server.start()
    server.stop()


@pytest.fixture
async def on(over_livekit: ServerProcess, livekit: LiveKitServer) -> AsyncIterator[Hall]:
    """A person, and the two servers that most of these tests share."""
    async with hall(over_livekit, livekit) as opened:
        yield opened
