"""Subscribers that read slowly, not at all, or whose cable was pulled."""

import asyncio
import ctypes
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.faults.watchers import QUERY

_SO_ATTACH_FILTER: Final = 26
_CLONE_NEWNET: Final = 0x40000000


def narrow_socket(port: int, host: str = "127.0.0.1", kept: int = 4096) -> socket.socket:
    """Return a connection of which the kernel keeps only a few bytes for its reader."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept)
    sock.connect((host, port))
    sock.setblocking(False)
    return sock


class Reader:
    """One subscription on a connection of its own, read only when the test says so."""

    def __init__(self, connection: ClientConnection, sock: socket.socket) -> None:
        self.connection = connection
        self.sock = sock

    @classmethod
    async def open(
        cls, url: str, token: str, session: str, sock: socket.socket, after: str | None = None
    ) -> "Reader":
        """Subscribe, and read until the subscription stands; then nothing more."""
        connection = await connect(
            url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            sock=sock,
            # What this side's library keeps must not hide that nobody reads.
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
        while not (await reader.event())["isCaughtUp"]:
            pass
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
    """Let the kernel drop every packet that comes for this socket, unanswered, from now on.

    A filter of one instruction (`ret #0`): https://docs.kernel.org/networking/filter.html
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program))
    )


class Island:
    """A network namespace with one cable to this machine, which can be pulled."""

    def __init__(self) -> None:
        self._name = f"vxq{os.getpid()}"
        self._ours = f"{self._name}a"
        self._theirs = f"{self._name}b"

    HOST: Final = "198.18.77.1"
    """This machine, seen from the island; addresses that are kept for tests (RFC 2544)."""

    def build(self) -> None:
        """Make it.

        Raises:
            subprocess.CalledProcessError, PermissionError: this user, or this machine, can't.
        """
        _ip("netns", "add", self._name)
        _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs)
        _ip("link", "set", self._theirs, "netns", self._name)
        _ip("addr", "add", f"{self.HOST}/30", "dev", self._ours)
        _ip("link", "set", self._ours, "up")
        _ip("-n", self._name, "addr", "add", "198.18.77.2/30", "dev", self._theirs)
        _ip("-n", self._name, "link", "set", self._theirs, "up")

    def pull_cable(self) -> None:
        _ip("-n", self._name, "link", "set", self._theirs, "down")

    def destroy(self) -> None:
        _ip("netns", "del", self._name, check=False)
        _ip("link", "del", self._ours, check=False)

    async def connect(self, port: int) -> socket.socket:
        """Return a connection from there to a port of this machine."""
        return await asyncio.to_thread(self._connect, port)

    def _connect(self, port: int) -> socket.socket:
        # Only this thread moves; its sockets stay where they were made.
        with _inside(Path("/run/netns") / self._name):
            return narrow_socket(port, self.HOST)


@contextmanager
def _inside(namespace: Path) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    try:
        _checked(libc.setns(there, _CLONE_NEWNET))
        yield
    finally:
        _checked(libc.setns(home, _CLONE_NEWNET))
        os.close(home)
        os.close(there)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "setns failed")


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=True, timeout=10)
