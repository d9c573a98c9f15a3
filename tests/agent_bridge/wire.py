"""Raw connections to `/bridge`, and a wire between two ends that a test can cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from agent_bridge.client_link import Backoff
from agent_bridge.protocol import BRIDGE
from tests.agent_bridge.serving import Served

SECONDS = 10


def impatient() -> Backoff:
    """Return a backoff for tests: a matter of milliseconds."""
    return Backoff(first=0.005, longest=0.05)


@dataclass
class Raw:
    """A connection that says what a test tells it to, right or wrong."""

    socket: ClientConnection

    async def send(self, frame_type: str, **members: object) -> None:
        await self.socket.send(json.dumps({"type": frame_type, **members}))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(SECONDS):
            frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def closed(self) -> int:
        """Wait for the close, whatever frames come before it, and return its code."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def raw(url: str, subprotocol: str | None = BRIDGE, **options: Any) -> AsyncIterator[Raw]:
    """Open a connection without any protocol of ours on this side."""
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


class Wire:
    """A TCP relay to a server on this machine; `async with Wire(port) as wire`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_refusing = False
        self.swallows_answers = False
        """Whether what the server says is lost, as when a connection dies half-way."""
        self.connections = 0
        self._refused = asyncio.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection without a good-bye."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def refuse(self, tries: int) -> None:
        """Wait until so many more connections have been refused."""
        async with asyncio.timeout(SECONDS):
            for _ in range(tries):
                await self._refused.acquire()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            self._refused.release()
            return
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, far_writer}
        for source, sink, is_answer in ((reader, far_writer, False), (far_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if is_answer and self.swallows_answers:
                    continue
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
