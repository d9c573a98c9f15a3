"""The reference: a bare Starlette WebSocket app that passes on messages and does nothing else."""

import gc
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


def bare_app() -> Starlette:
    """Return an app that sends each message from `/in` to the readers of its topic on `/out`."""
    readers: dict[str, dict[WebSocket, None]] = defaultdict(dict)

    async def take(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            topic = await websocket.receive_text()
            while True:
                text = await websocket.receive_text()
                for reader in readers[topic]:
                    await reader.send_text(text)

    async def give(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(WebSocketDisconnect):
            topic = await websocket.receive_text()
            readers[topic][websocket] = None
            await websocket.send_text("ready")
            try:
                await websocket.receive_text()
            finally:
                del readers[topic][websocket]

    return Starlette(
        routes=[WebSocketRoute("/in", take), WebSocketRoute("/out", give)], lifespan=_lifespan
    )


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    # Like asgi.py, keep the collector out of it: the comparison is about the work per event.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    yield
