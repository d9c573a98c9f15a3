"""How long a message to a client may wait, as its ASGI event tells the server."""

from typing import Final

WAITING: Final = "voxql.waiting"
"""Key of an ASGI message to the server: how long it may wait for a slow client.

By default it waits as long as the connection lives.
"""
WHILE_READING: Final = "while reading"
"""The message waits while the client keeps reading; otherwise the server raises `ReaderTooSlow`."""
NEVER: Final = "never"
"""The message is sent without waiting: it is the last of a stream, and small."""
