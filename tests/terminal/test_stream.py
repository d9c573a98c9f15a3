"""A lost connection leaves no gap in the terminal's events."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from terminal.client import stream
from terminal.client.server import GraphQLClient
from terminal.refusal import CannotTalk, RefusedByServer

Json = dict[str, Any]
Script = Callable[[ServerConnection, Json], Awaitable[None]]


@asynccontextmanager
async def _server(*scripts: Script) -> AsyncIterator[GraphQLClient]:
    """Run a graphql-transport-ws server that plays one script per connection."""
    waiting = list(scripts)

    async def handle(socket: ServerConnection) -> None:
        script = waiting.pop(0)
        assert json.loads(await socket.recv()) == {"type": "connection_init"}
        await socket.send(json.dumps({"type": "connection_ack"}))
        subscribe = json.loads(await socket.recv())
        assert subscribe["type"] == "subscribe"
        await script(socket, subscribe["payload"]["variables"])

    names = [Subprotocol("graphql-transport-ws")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=names) as server:
        port = server.sockets[0].getsockname()[1]
        yield GraphQLClient(f"http://127.0.0.1:{port}")


async def _next(socket: ServerConnection, cursor: str, end: Json | None = None) -> None:
    event = {"cursor": cursor, "isCaughtUp": True, "utterances": [], "end": end}
    payload = {"data": {"transcripts": event}}
    await socket.send(json.dumps({"type": "next", "id": "1", "payload": payload}))


async def _cursors(server: GraphQLClient) -> list[str]:
    async with asyncio.timeout(10), aclosing(stream.transcripts(server, "ses_1")) as events:
        return [event["cursor"] async for event in events]


ENDED = {"reason": "SESSION_ENDED", "mayResume": False}


async def test_it_comes_back_after_the_newest_cursor() -> None:
    """After a disconnect the terminal resumes after the last event's cursor."""
    asked: list[object] = []

    async def breaks(socket: ServerConnection, variables: Json) -> None:
        asked.append(variables["after"])
        await _next(socket, "c1")
        await _next(socket, "c2")
        socket.transport.abort()

    async def closes(socket: ServerConnection, variables: Json) -> None:
        asked.append(variables["after"])
        await _next(socket, "c3")
        await socket.close(1012)

    async def resumes(socket: ServerConnection, variables: Json) -> None:
        asked.append(variables["after"])
        await _next(socket, "c4", {"reason": "SERVER_SHUTDOWN", "mayResume": True})
        await socket.send(json.dumps({"type": "complete", "id": "1"}))

    async def ends(socket: ServerConnection, variables: Json) -> None:
        asked.append(variables["after"])
        await _next(socket, "c5", ENDED)

    async with _server(breaks, closes, resumes, ends) as server:
        assert await _cursors(server) == ["c1", "c2", "c3", "c4", "c5"]
    assert asked == [None, "c2", "c3", "c4"]


async def test_a_ping_is_answered() -> None:
    """Servers may check whether the client still listens."""
    answers: list[Json] = []

    async def pings(socket: ServerConnection, variables: Json) -> None:
        await socket.send(json.dumps({"type": "ping"}))
        answers.append(json.loads(await socket.recv()))
        await _next(socket, "c1", ENDED)

    async with _server(pings) as server:
        assert await _cursors(server) == ["c1"]
    assert answers == [{"type": "pong"}]


async def test_a_refusal_is_told_and_not_tried_again() -> None:
    """The server would refuse a retry too."""

    async def refuses(socket: ServerConnection, variables: Json) -> None:
        error = {"message": "There is no such session.", "extensions": {"code": "NOT_FOUND"}}
        await socket.send(json.dumps({"type": "error", "id": "1", "payload": [error]}))
        await socket.wait_closed()

    async with _server(refuses) as server:
        with pytest.raises(RefusedByServer, match="no such session") as refused:
            await _cursors(server)
    assert refused.value.code == "NOT_FOUND"


async def test_a_connection_that_is_not_wanted_is_not_tried_again() -> None:
    """The close code says that a retry is pointless, as when signed out."""

    async def closes(socket: ServerConnection, variables: Json) -> None:
        await socket.close(4403, "Forbidden")

    async with _server(closes) as server:
        with pytest.raises(CannotTalk, match="Forbidden"):
            await _cursors(server)
