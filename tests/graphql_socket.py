"""A small graphql-transport-ws client, written from the protocol, not from the server's code.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol


class SubscriptionRefused(Exception):
    """The server sent an `error` message; `errors` is its payload."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


@asynccontextmanager
async def subscribe(
    url: str, token: str, query: str, variables: dict[str, Any]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Subscribe on a new connection; the iterator ends with the server's `complete`."""
    address = url.replace("http", "ws", 1) + "/graphql"
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(address, subprotocols=[protocol]) as socket:
        payload = {"Authorization": f"Bearer {token}"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        operation = {"query": query, "variables": variables}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        yield _payloads(socket)


async def _payloads(socket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
    async for frame in socket:
        message = json.loads(frame)
        match message["type"]:
            case "next":
                yield message["payload"]
            case "error":
                raise SubscriptionRefused(message["payload"])
            case "complete":
                return
            case "ping":
                await socket.send(json.dumps({"type": "pong"}))
