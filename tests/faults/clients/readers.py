"""Subscribers that read slowly, do not read, or lose their network."""

import ctypes
import json
import socket
import struct
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.faults.clients.watchers import QUERY

_SO_ATTACH_FILTER: Final = 26


def narrow_socket(port: int, host: str = "127.0.0.1", kept: int = 4096) -> socket.socket:
    """Return a connection with a receive buffer of only a few bytes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept)
    sock.connect((host, port))
    sock.setblocking(False)
    return sock


class Reader:
    """One subscription on its own connection, read only when the test says so."""

    def __init__(self, connection: ClientConnection, sock: socket.socket) -> None:
        self.connection = connection
        self.sock = sock

    @classmethod
    async def open(
        cls, url: str, token: str, session: str, sock: socket.socket, after: str | None = None
    ) -> "Reader":
        """Subscribe and read until caught up, then stop reading."""
        reader = await cls.begin(url, token, session, sock, after)
        while not (await reader.event())["isCaughtUp"]:
            pass
        return reader

    @classmethod
    async def begin(
        cls, url: str, token: str, session: str, sock: socket.socket, after: str | None = None
    ) -> "Reader":
        """Subscribe and read nothing."""
        connection = await connect(
            url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            sock=sock,
            # The client library must not read ahead.
            max_queue=1,
            compression=None,
            ping_interval=None,
            close_timeout=0.1,
            proxy=None,
        )
        reader = cls(connection, sock)
        payload = {"Authorization": f"Bearer {token}"}
        await connection.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await connection.recv())["type"] == "connection_ack"
        variables = {"session": session, "after": after}
        operation = {"query": QUERY, "variables": variables}
        await connection.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        return reader

    async def event(self) -> dict[str, Any]:
        """Read one event."""
        while (message := json.loads(await self.connection.recv()))["type"] != "next":
            assert message["type"] == "ping", message
        event: dict[str, Any] = message["payload"]["data"]["transcripts"]
        return event

    async def close(self) -> None:
        await self.connection.close()


def pull_cable(sock: socket.socket) -> None:
    """Make the kernel silently drop every packet for this socket from now on.

    The filter is one instruction (`ret #0`): https://docs.kernel.org/networking/filter.html
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program))
    )
