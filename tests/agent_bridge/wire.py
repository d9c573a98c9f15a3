"""Raw connections to `/bridge`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from agent_bridge.client.link import Backoff
from agent_bridge.protocol import BRIDGE
from tests.agent_bridge.serving import Served

SECONDS = 10


def impatient() -> Backoff:
    """Return a backoff of milliseconds for tests."""
    return Backoff(first=0.005, longest=0.05)


@dataclass
class Raw:
    """A connection that sends what a test tells it to, valid or not."""

    socket: ClientConnection

    async def send(self, frame_type: str, **members: object) -> None:
        await self.socket.send(json.dumps({"type": frame_type, **members}))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def closed(self) -> int:
        """Skip frames until the connection closes; return the close code."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def raw(url: str, subprotocol: str | None = BRIDGE, **options: Any) -> AsyncIterator[Raw]:
    """Open a connection without our client code."""
    address = url.replace("http", "ws", 1) + "/bridge"
    offered = None if subprotocol is None else [Subprotocol(subprotocol)]
    async with connect(
        address, subprotocols=offered, proxy=None, compression=None, close_timeout=1, **options
    ) as socket:
        yield Raw(socket)


@asynccontextmanager
async def joined(served: Served, *, attempt: int = 1) -> AsyncIterator[Raw]:
    """Open a connection that has been welcomed."""
    async with raw(served.url) as agent:
        await agent.send("hello", token=served.token(attempt))
        assert (await agent.receive())["type"] == "welcome"
        yield agent


def words(
    segment: str = "seg_a", revision: int = 1, text: str = "hello", final: bool = True, **more: Any
) -> dict[str, Any]:
    """Return the members of an utterance frame."""
    return {
        "segment": segment,
        "revision": revision,
        "role": "USER",
        "text": text,
        "final": final,
        "startedAt": "2026-11-22T17:30:00Z",
        **more,
    }
