"""Every test of the transport runs on both kinds of WebSocket."""

import asyncio

import pytest

from tests.serving.sockets import KINDS


@pytest.fixture(params=KINDS)
def sockets(request: pytest.FixtureRequest) -> type[asyncio.Protocol]:
    """The class of the server's WebSockets."""
    return KINDS[request.param]
