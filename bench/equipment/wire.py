"""A WebSocket client that costs a few microseconds a message, so that the load is not the limit.

The measured program must be the slow side. This client reads only what our servers may send
(unmasked, unfragmented frames, RFC 6455 section 5) and masks with zeros, which is a valid mask.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Callable, Sequence
from typing import Final, Self, cast

_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A
_NO_MASK: Final = bytes(4)


class Wire(asyncio.Protocol):
    """One connection; `on_text` gets each message as bytes."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.on_text: Callable[[bytes], None] = self._keep
        self._request = request
        self._opened: asyncio.Future[None] = loop.create_future()
        self._kept: asyncio.Queue[bytes] = asyncio.Queue()
        self._data = b""
        self._is_open = False
        self._is_done = False

    @classmethod
    async def open(cls, port: int, path: str, *protocols: str) -> Self:
        """Connect and complete the handshake."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *(f"Sec-WebSocket-Protocol: {protocol}" for protocol in protocols),
        ]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: cls(request), "127.0.0.1", port)
        await wire._opened
        return wire

    async def receive(self) -> bytes:
        """Wait for the next message; works only until `on_text` is set."""
        return await self._kept.get()

    def send(self, text: bytes) -> None:
        """Send one message."""
        self._write(_TEXT, text)

    def close(self) -> None:
        """Send a close frame and close the connection."""
        self._is_done = True
        self._write(_CLOSE, struct.pack("!H", 1000))
        self._transport.close()

    def _keep(self, text: bytes) -> None:
        self._kept.put_nowait(text)

    def _write(self, head: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            start = struct.pack("!BB", head, 0x80 | size)
        elif size < 65_536:
            start = struct.pack("!BBH", head, 0x80 | 126, size)
        else:
            start = struct.pack("!BBQ", head, 0x80 | 127, size)
        self._transport.write(start + _NO_MASK + payload)

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the upgrade."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail a pending handshake; report a later loss, which spoils the figures."""
        if not self._opened.done():
            self._opened.set_exception(ConnectionError("closed during the handshake"))
        elif not self._is_done:
            context = {"message": f"a connection was lost: {exc}"}
            asyncio.get_running_loop().call_exception_handler(context)

    def data_received(self, data: bytes) -> None:
        """Split received data into frames."""
        data = self._data + data if self._data else data
        at = 0 if self._is_open else self._handshake(data)
        while self._is_open:
            end = self._frame(data, at)
            if end == at:
                break
            at = end
        self._data = data[at:]

    def _handshake(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101 "):
            self._opened.set_exception(ConnectionError(data.decode(errors="replace")))
            return len(data)
        self._is_open = True
        self._opened.set_result(None)
        return end + 4

    def _frame(self, data: bytes, at: int) -> int:
        """Handle the frame that begins at `at`; return its end, or `at` if it is incomplete."""
        have = len(data) - at
        if have < 2:
            return at
        head, size, begin = data[at], data[at + 1], at + 2
        if size == 126:
            if have < 4:
                return at
            size, begin = int.from_bytes(data[begin : begin + 2]), at + 4
        elif size == 127:
            if have < 10:
                return at
            size, begin = int.from_bytes(data[begin : begin + 8]), at + 10
        end = begin + size
        if len(data) < end:
            return at
        if head == _TEXT:
            self.on_text(data[begin:end])
        elif head == _PING:
            self._write(_PONG, data[begin:end])
        return end


def close_all(wires: Sequence[Wire]) -> None:
    """Close all of these."""
    for wire in wires:
        wire.close()
