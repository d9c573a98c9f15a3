"""A TCP relay that a test can cut."""

import asyncio
from contextlib import suppress
from typing import Self

SECONDS = 10
START_S = 90
"""Seconds for a starting program to connect."""


class Wire:
    """A TCP relay to a server on this machine; `async with Wire(port) as wire`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_refusing = False
        self.swallows_answers = False
        """Whether the server's answers are dropped, as when a connection dies half-way."""
        self.connections = 0
        self._is_released = asyncio.Event()
        self._is_released.set()
        self._held = asyncio.Event()
        self._refused = asyncio.Semaphore(0)

    @property
    def port(self) -> int:
        """The port that the relay listens on."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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
        """Abort every connection without a closing handshake."""
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def refuse(self, tries: int) -> None:
        """Wait until `tries` more connections have been refused."""
        async with asyncio.timeout(SECONDS):
            for _ in range(tries):
                await self._refused.acquire()

    def hold(self) -> None:
        """Hold new connections, unanswered, until `release` is called."""
        self._is_released.clear()
        self._held.clear()

    async def held(self) -> None:
        """Wait until a connection is held."""
        async with asyncio.timeout(START_S):
            await self._held.wait()

    def release(self) -> None:
        """Relay held and new connections to the server."""
        self._is_released.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            self._refused.release()
            return
        self.connections += 1
        if not self._is_released.is_set():
            self._held.set()
            await self._is_released.wait()
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
