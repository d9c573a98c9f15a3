"""How an app reads and writes a WebSocket directly, where the server allows it.

ASGI takes a task, a queue and an awaited call for each message. A server that offers the extension
`DIRECT` calls the app with each message instead, and the app writes in the call in which an event
is published.
"""

from collections.abc import Callable
from typing import Final, Protocol

DIRECT: Final = "voxql.direct"
"""Key of the ASGI scope's `extensions`; the value is a `DirectSocket`."""


class Outlet(Protocol):
    """Where an app writes its messages."""

    def pause_reading(self) -> None:
        """Hand over no more messages for now; a few may still come."""

    def resume_reading(self) -> None:
        """Hand over messages again."""

    @property
    def is_writable(self) -> bool:
        """Whether the client has read enough that more may be written."""

    async def until_writable(self) -> None:
        """Wait until more may be written.

        Raises:
            ReaderTooSlow: The client has stopped reading.
        """

    def write(self, text: str) -> None:
        """Send a message, after all that wait already; never waits.

        Nothing is sent once the connection is closing.
        """

    def close(self, code: int, reason: str) -> None:
        """Close the connection once everything was sent; the first call counts."""


class DirectSocket(Outlet, Protocol):
    """An accepted WebSocket."""

    def listen(self, receive: Callable[[str | None], None]) -> None:
        """Call `receive` with each message from now on; None stands for a binary one.

        ASGI's `receive` then reports only the end of the connection.
        """
