"""Opens the listening socket before anything else, so that a port clash is reported at once."""

import asyncio
import errno
import os
import socket
import sys
from typing import Final

from serving.refusal import CannotServe

STUCK_CLIENT_MS: Final = 20_000
"""Drops a client that reads nothing for this long; a ping time-out first waits for its buffer."""
STUCK_READER_MS: Final = 60_000
"""The same for a reader of a subscription, which may still come back to read the rest."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Open a socket on this address; port 0 takes a free port.

    Raises:
        CannotServe: when the address can't be used.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotServe(f"VOXQL_HOST={host} isn't an address of this machine.") from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _drop_when_stuck(sock, STUCK_CLIENT_MS)  # accepted connections inherit it
    try:
        sock.bind(address)
        # Only now is the port taken; connections wait until the app is up.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        raise CannotServe(_why_not(error, host, port)) from error
    return sock


def keep_stuck_reader(transport: asyncio.Transport) -> None:
    """Keep a connection open for longer although its client reads nothing."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Uses a second descriptor of the connection: uvloop's own socket takes no options.
        with socket.socket(fileno=os.dup(sock.fileno())) as same:
            _drop_when_stuck(same, STUCK_READER_MS)


def _drop_when_stuck(sock: socket.socket, milliseconds: int) -> None:
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def local_address(sock: socket.socket) -> tuple[str, int]:
    """Return the host and port at which this machine reaches the socket."""
    host, port = sock.getsockname()[:2]
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - replaced, not bound
    return every.get(host, host), port


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use already, perhaps by another VoxQL. "
            f"Stop that, or choose another port: VOXQL_PORT={port + 1 if port < 65535 else 8000}"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} is kept for root; take one from 1024 up, as in VOXQL_PORT=8000."
    return f"Can't listen on {host}, port {port}: {error.strerror}."
