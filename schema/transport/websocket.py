"""Serves a connection: directly where the server offers it, and over plain ASGI elsewhere."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from hub.direct import DIRECT, DirectSocket, Outlet
from hub.subscription import ReaderTooSlow
from schema.transport.connection import Connection
from schema.transport.protocol import SUBPROTOCOL, UNKNOWN_SUBPROTOCOL

STUCK_READER_S: Final = 16.0
"""Seconds for which an ASGI server may take no message, because its client does not read."""
SLOWEST_LINE: Final = 8 * 1024
"""Characters a second that a client reads at least; a long message gets more time."""


async def serve(socket: WebSocket, connect: Callable[[Outlet], Connection]) -> None:
    """Accept a WebSocket, and serve it until it is closed."""
    if SUBPROTOCOL not in socket.scope["subprotocols"]:
        await socket.accept()
        await socket.close(UNKNOWN_SUBPROTOCOL, "Subprotocol not acceptable")
        return
    await socket.accept(SUBPROTOCOL)
    direct: DirectSocket | None = socket.scope.get("extensions", {}).get(DIRECT)
    if direct is None:
        await _serve_over_asgi(socket, connect)
    else:
        await _serve_directly(socket, direct, connect)


async def _serve_directly(
    socket: WebSocket, direct: DirectSocket, connect: Callable[[Outlet], Connection]
) -> None:
    connection = connect(direct)
    direct.listen(connection.receive)
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        await connection.closed()


async def _serve_over_asgi(socket: WebSocket, connect: Callable[[Outlet], Connection]) -> None:
    outlet = AsgiOutlet(socket)
    connection = connect(outlet)
    writing = asyncio.create_task(outlet.run())
    try:
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            connection.receive(message.get("text"))
            await outlet.until_reading()
    finally:
        await connection.closed()
        writing.cancel()
        await asyncio.wait([writing])


class AsgiOutlet:
    """Writes in its own task, because an ASGI server's `send` has to be awaited."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._waiting: deque[str] = deque()
        self._close: tuple[int, str] | None = None
        self._wake = asyncio.Event()
        self._sent = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._is_over = False

    def pause_reading(self) -> None:
        """See `Outlet`."""
        if not self._is_over:
            self._reads.clear()

    def resume_reading(self) -> None:
        """See `Outlet`."""
        self._reads.set()

    async def until_reading(self) -> None:
        """Wait while reading is paused and the connection lives."""
        await self._reads.wait()

    @property
    def is_writable(self) -> bool:
        """See `Outlet`."""
        return not self._waiting

    async def until_writable(self) -> None:
        """See `Outlet`."""
        while self._waiting:
            self._sent.clear()
            try:
                async with asyncio.timeout(STUCK_READER_S + len(self._waiting[0]) / SLOWEST_LINE):
                    await self._sent.wait()
            except TimeoutError:
                raise ReaderTooSlow from None

    def write(self, text: str) -> None:
        """See `Outlet`."""
        if self._close is None:
            self._waiting.append(text)
            self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """See `Outlet`."""
        if self._close is None:
            self._close = code, reason
            self._wake.set()

    async def run(self) -> None:
        """Send what is written until the connection is closed."""
        try:
            while True:
                while self._waiting:
                    await self._socket.send_text(self._waiting[0])
                    self._waiting.popleft()
                    self._sent.set()
                if self._close is not None:
                    await self._socket.close(*self._close)
                    return
                self._wake.clear()
                await self._wake.wait()
        except (WebSocketDisconnect, RuntimeError):
            return  # reading shows it, too
        finally:
            self._is_over = True
            self._reads.set()
