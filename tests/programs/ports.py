"""Free ports for servers that tests start."""

import random
import socket
from typing import Final

_RANGE: Final = (20_000, 32_000)
"""Below the ephemeral ports, so no other program gets the port during a restart."""
_TRIES: Final = 100


def free_port() -> int:
    """Return a port that is free for TCP and UDP, which a server can keep across restarts.

    Raises:
        OSError: When no free port was found.
    """
    for _ in range(_TRIES):
        port = random.randrange(*_RANGE)
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            return port
    raise OSError(f"no free port among {_TRIES} between {_RANGE[0]} and {_RANGE[1]}")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
