"""Spread connections over several servers, at the level of TCP, as a load balancer does."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Self

_CHUNK: Final = 64 * 1024


class Balancer:
    """Passes each connection to one of the servers, by chance; enter it with `async with`.

    Args:
        port: The local port to listen on.
        ports: The servers' local ports; one that refuses a connection is left out.
    """

    def __init__(self, port: int, ports: Sequence[int]) -> None:
        self.port = port
        self._ports = list(ports)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all connections."""
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            for port in random.sample(self._ports, len(self._ports)):
                with suppress(OSError):
                    there, to = await asyncio.open_connection("127.0.0.1", port)
                    break
            else:
                return
            with suppress(OSError):
                await _joined(reader, writer, there, to)
        finally:
            writer.transport.abort()


async def _joined(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    to: asyncio.StreamWriter,
) -> None:
    """Pass on everything, both ways, until one side has ended."""
    ways = [
        asyncio.create_task(_pass_on(reader, to)),
        asyncio.create_task(_pass_on(there, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        with suppress(OSError):
            await writer.drain()
        to.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
