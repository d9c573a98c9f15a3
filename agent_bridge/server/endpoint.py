"""The `/bridge` endpoint, to which agents and workers connect (docs/bridge-protocol.md)."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from agent_bridge.protocol import BRIDGE, DIALECTS, CloseCode
from agent_bridge.protocol.codes import BYE_SECONDS, FENCE_SECONDS, HELLO_SECONDS
from agent_bridge.server.bridge import BridgeConnection, Deadlines
from agent_bridge.server.handler import BridgeHandler
from agent_bridge.server.peer import PeerSocket
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.worker import attend_worker
from agent_bridge.server.workers import Workers
from hub.hub import Hub

DRAIN_SECONDS: Final = 5.0


class BridgeEndpoint:
    """An ASGI application for a WebSocket route; made by `bridge_endpoint`."""

    def __init__(
        self,
        handler: BridgeHandler,
        tokens: Tokens,
        hub: Hub,
        workers: Workers,
        worker_key: str,
        deadlines: Deadlines,
    ) -> None:
        self._handler = handler
        self._tokens = tokens
        self._hub = hub
        self._workers = workers
        self._worker_key = worker_key
        self._deadlines = deadlines
        self._connections: dict[PeerSocket, asyncio.Event] = {}
        self._is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one handshake and, if it is accepted, the connection."""
        websocket = WebSocket(scope, receive, send)
        offered = [name for name in websocket.scope["subprotocols"] if name in DIALECTS]
        if not offered:
            names = " or ".join(DIALECTS)
            await _refuse(websocket, 400, f"/bridge speaks the subprotocol {names}.")
            return
        if self._is_draining:
            await _refuse(websocket, 503, "This server is stopping. Please connect again.")
            return
        await websocket.accept(subprotocol=offered[0])
        peer = PeerSocket(websocket, DIALECTS[offered[0]])
        self._connections[peer] = over = asyncio.Event()
        try:
            await peer.serve(self._work(peer, offered[0]))
        finally:
            del self._connections[peer]
            over.set()

    @property
    def connections(self) -> int:
        """How many connections are open, workers included."""
        return len(self._connections)

    async def drain(self) -> None:
        """Close every connection with RESTARTING, so that it comes again, and accept no new one."""
        self._is_draining = True
        ends = list(self._connections.values())
        for peer in list(self._connections):
            peer.end(CloseCode.RESTARTING, "the server is stopping; please connect again")
        if ends:
            waits = [asyncio.create_task(end.wait()) for end in ends]
            _, late = await asyncio.wait(waits, timeout=DRAIN_SECONDS)
            for wait in late:
                wait.cancel()

    def _work(self, peer: PeerSocket, subprotocol: str) -> Coroutine[Any, Any, None]:
        if subprotocol == BRIDGE:
            connection = BridgeConnection(
                peer, self._handler, self._tokens, self._hub, self._deadlines
            )
            return connection.converse()
        return attend_worker(peer, self._workers, self._worker_key, self._deadlines.hello)


def bridge_endpoint(
    handler: BridgeHandler,
    tokens: Tokens,
    hub: Hub,
    workers: Workers,
    worker_key: str,
    *,
    hello_seconds: float = HELLO_SECONDS,
    fence_seconds: float = FENCE_SECONDS,
    bye_seconds: float = BYE_SECONDS,
) -> BridgeEndpoint:
    """Make the app for `WebSocketRoute("/bridge", …)`; call its `drain()` before shutdown."""
    deadlines = Deadlines(hello_seconds, fence_seconds, bye_seconds)
    return BridgeEndpoint(handler, tokens, hub, workers, worker_key, deadlines)


async def _refuse(websocket: WebSocket, status: int, sentence: str) -> None:
    await websocket.receive()
    await websocket.send_denial_response(PlainTextResponse(sentence, status))
