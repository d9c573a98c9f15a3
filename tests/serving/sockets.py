"""The kinds of WebSocket on which the server's endpoints are tested."""

import asyncio
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from serving.process.server import Socket

KINDS: Final[dict[str, type[asyncio.Protocol]]] = {
    "direct": Socket,
    "asgi": WebSocketsSansIOProtocol,
}
"""The server's own class, which the app uses directly, and uvicorn's, as any ASGI server's."""
