"""Models loaded once for all tests, and a server without an agent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from agent.answers import Responder
from agent.conversation import Minds
from agent.process import load_minds
from agent.speech.hibari_voice import HibariVoice
from agent.speech.recogniser import LocalRecogniser
from tests.sample_clock import SampleClock, clocks_of
from tests.voice.made_speech import made_minds
from tests.voice.server import Server


@pytest.fixture(autouse=True, scope="package")
def no_network() -> Iterator[None]:
    """Fail on any connection outside this machine: speech must work without a network."""
    connect = socket.socket.connect
    left: list[object] = []

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
            left.append(address)
            raise OSError(f"a test wanted to connect to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield
    assert left == []


@pytest.fixture(scope="session")
def minds() -> Iterator[Minds]:
    """The recogniser, the voice and the built-in demo, loaded and warm; the demo does not greet."""
    minds = asyncio.run(load_minds(None, recogniser="moonshine", voice="hibari", greets=False))
    yield minds
    for part in (minds.recogniser, minds.voice):
        assert part is not None
        asyncio.run(part.aclose())


@pytest.fixture(scope="session")
def recogniser(minds: Minds) -> LocalRecogniser:
    assert isinstance(minds.recogniser, LocalRecogniser)
    return minds.recogniser


@pytest.fixture(scope="session")
def voice(minds: Minds) -> HibariVoice:
    assert isinstance(minds.voice, HibariVoice)
    return minds.voice


@pytest.fixture(scope="session")
def responder(minds: Minds) -> Responder:
    assert isinstance(minds.answers, Responder)
    return minds.answers


@pytest.fixture(scope="session")
def made() -> Iterator[Minds]:
    """The agent with synthetic speech: see `made_speech`."""
    minds = made_minds()
    yield minds
    for part in (minds.recogniser, minds.voice):
        assert part is not None
        asyncio.run(part.aclose())


@pytest.fixture
async def clock() -> AsyncIterator[None]:
    """Let Python's clocks follow the loop's, if the test is marked `sample_clock`."""
    loop = asyncio.get_running_loop()
    with clocks_of(loop) if isinstance(loop, SampleClock) else nullcontext():
        yield


@pytest.fixture
async def server(clock: None) -> AsyncIterator[Server]:
    """`/bridge` and `/audio`, without an agent."""
    async with Server().running() as server:
        yield server
