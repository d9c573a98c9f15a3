"""Subscriptions over graphql-transport-ws that survive a lost connection without a gap.

After a loss, the newest cursor goes into `after`, so the server first sends what was missed.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException
from websockets.typing import Subprotocol

from terminal.client.server import GraphQLClient, Json
from terminal.refusal import CannotTalk, RefusedByServer

SUBPROTOCOL: Final = Subprotocol("graphql-transport-ws")
_TRIES: Final = 8
"""Consecutive lost connections after which the server counts as gone: about 20 s."""
_LONGEST_PAUSE_S: Final = 5.0
_FATAL: Final = frozenset({4400, 4401, 4403, 4406, 4409, 4429})
"""Close codes after which another attempt would end the same way."""

TRANSCRIPTS: Final = """
subscription ($session: ID!, $after: String) {
  transcripts(sessionId: $session, after: $after) {
    cursor
    isCaughtUp
    utterances { key revision role text isFinal isInterrupted sortKey startedAt source }
    end { reason mayResume }
  }
}"""
UPDATES: Final = """
subscription ($session: ID!) {
  sessionUpdates(sessionId: $session) {
    session { id status agentState failure { code message isRetryable } endReason version }
    deletedSessionId
    end { reason mayResume }
  }
}"""


async def transcripts(server: GraphQLClient, session: str) -> AsyncGenerator[Json, None]:
    """Yield the session's transcript events until its end."""
    variables: dict[str, object] = {"session": session, "after": None}
    async for event in _subscribed(server, TRANSCRIPTS, variables, "transcripts"):
        # Before yielding, because the connection may be lost right after.
        variables["after"] = event["cursor"]
        yield event


async def updates(server: GraphQLClient, session: str) -> AsyncGenerator[Json, None]:
    """Yield the session's changes of state until its end."""
    async for event in _subscribed(server, UPDATES, {"session": session}, "sessionUpdates"):
        yield event


async def _subscribed(
    server: GraphQLClient, query: str, variables: Mapping[str, object], field: str
) -> AsyncGenerator[Json, None]:
    failures = 0
    while True:
        try:
            async with connect(
                server.socket_url("/graphql"),
                subprotocols=[SUBPROTOCOL],
                additional_headers=server.socket_headers,
                compression=None,
                max_size=2**22,
                proxy=server.proxy,
            ) as socket:
                async for event in _events(socket, query, variables):
                    failures = 0
                    yield event[field]
                    end = event[field]["end"]
                    if end and not end["mayResume"]:
                        return
        except (ConnectionClosed, OSError, InvalidHandshake) as error:
            code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else None
            if code in _FATAL:
                why = (
                    error.rcvd.reason if isinstance(error, ConnectionClosed) and error.rcvd else ""
                )
                told = why.removesuffix(".") or f"code {code}"
                raise CannotTalk(f"The server closed the transcript's stream: {told}.") from None
            if failures >= _TRIES:
                raise server.unreachable(error) from None
        except WebSocketException as error:
            raise server.unreachable(error) from None
        failures += 1
        if failures > _TRIES:
            raise CannotTalk("The server ends the transcript's stream again and again.")
        # Random, so that clients that lost the same server don't all reconnect at once.
        await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.2 * 2**failures)))  # noqa: S311


async def _events(
    socket: ClientConnection, query: str, variables: Mapping[str, object]
) -> AsyncGenerator[Json, None]:
    await _send(socket, {"type": "connection_init"})
    payload = {"query": query, "variables": dict(variables)}
    async for text in socket:
        message = json.loads(text)
        match message["type"]:
            case "connection_ack":
                await _send(socket, {"type": "subscribe", "id": "1", "payload": payload})
            case "ping":
                await _send(socket, {"type": "pong"})
            case "next" if message["payload"].get("errors"):
                raise _refused(message["payload"]["errors"])
            case "next":
                yield message["payload"]["data"]
            case "error":
                raise _refused(message["payload"])
            case "complete":
                return
    # Closed cleanly, but neither by us nor after the end: treat it like any other loss.


async def _send(socket: ClientConnection, message: Json) -> None:
    await socket.send(json.dumps(message))


def _refused(errors: list[Json]) -> RefusedByServer:
    first = errors[0]
    return RefusedByServer(str(first["message"]), str((first.get("extensions") or {}).get("code")))
