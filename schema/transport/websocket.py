"""The protocol graphql-transport-ws; corrects Strawberry where it deviates from it.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any

from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import (
    NonJsonMessageReceived,
    NonTextMessageReceived,
    WebSocketDisconnected,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    Operation as RunningOperation,
)

from agent_bridge.protocol import close_reason
from hub.subscription import ReaderTooSlow
from hub.waiting import NEVER, WAITING, WHILE_READING
from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, QuotaExceeded, Refusal
from resolvers.viewer import Viewer
from schema import errors, scopes
from schema.context import Context, Request, spend
from schema.executable import EXECUTABLE
from schema.operations import limits, long_json
from schema.operations.documents import DocumentRefused, Documents, Operation
from schema.operations.events import EventFailed, Selections, watch
from schema.operations.execution import execute, is_request_error
from schema.transport.authenticator import Authenticator
from schema.transport.requests import read_json

BAD_REQUEST = 4400
ID_IN_USE = 4409
INTERNAL_ERROR = 4500
TOO_LARGE = 1009

_MAX_ID = 256
"""Characters of an operation's id, which is kept while the operation runs."""


class SocketContext:
    """What the operations of one WebSocket share.

    The viewer is looked up again for each operation: a connection may outlive its login or token.
    """

    def __init__(
        self,
        backend: Backend,
        access: Authenticator,
        documents: Documents,
        selections: Selections,
        socket: WebSocket,
    ) -> None:
        self.backend = backend
        self.documents = documents
        self.selections = selections
        self.connection_params: dict[str, object] = {}
        self.address = socket.client.host if socket.client else None
        self._access = access
        self._socket = socket

    async def viewer(self) -> Viewer | None:
        """Return the current viewer, by connection_init's credentials or else the handshake's.

        Raises:
            Unauthenticated: when the token is invalid or no longer valid.
        """
        for name, value in self.connection_params.items():
            if name.lower() == "authorization" and value is not None:
                return await self._access.bearer(value)
        return await self._access.viewer(self._socket)

    async def open(self) -> None:
        """Refuse a connection with an invalid token."""
        try:
            await self.viewer()
        except Refusal as refusal:
            raise ConnectionRejectionError from refusal


class SocketAdapter(ASGIWebSocketAdapter):
    """Reads and writes JSON frames."""

    async def iter_json(
        self, *, ignore_parsing_errors: bool = False
    ) -> AsyncGenerator[object, None]:
        while self.ws.application_state is not WebSocketState.DISCONNECTED:
            message = await self.ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                raise NonTextMessageReceived
            if _is_too_large(text):
                await self.close(TOO_LARGE, "A message may have 1 MiB at most")
                return
            try:
                read = await read_json(text)
            except BadUserInput as refusal:
                raise NonJsonMessageReceived from refusal
            yield read

    async def send_json(self, message: Mapping[str, object]) -> None:
        await self._send({"type": "websocket.send", "text": await long_json.write(message)})

    async def send_event(self, text: str, *, is_last: bool) -> None:
        """Send an event of a subscription.

        Args:
            text: The message, as JSON.
            is_last: Whether it ends the stream.

        Raises:
            WebSocketDisconnected: when the client is gone.
            ReaderTooSlow: when the client has stopped reading; the event was not sent.
        """
        waiting = NEVER if is_last else WHILE_READING
        await self._send({"type": "websocket.send", "text": text, WAITING: waiting})

    async def _send(self, message: dict[str, str]) -> None:
        # The connection may have been closed since this operation began.
        if self.ws.application_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send(message)
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        if self.ws.application_state is not WebSocketState.DISCONNECTED:
            await super().close(code, close_reason(reason))


class TransportHandler(BaseGraphQLTransportWSHandler[SocketContext, None]):
    """Handles one connection: checks its messages, runs its operations, reports their errors."""

    websocket: SocketAdapter

    async def handle_message(self, message: Any) -> None:
        problem = malformed(message)
        if problem is not None:
            await self.websocket.close(code=BAD_REQUEST, reason=problem)
            return
        if message.get("payload", ...) is None:
            message = {name: value for name, value in message.items() if name != "payload"}
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        try:
            await super().handle_connection_init(message)
        except WebSocketDisconnected:
            raise
        except Exception as error:
            errors.fault(error)
            await self.websocket.close(code=INTERNAL_ERROR, reason="Internal server error")

    async def handle_subscribe(self, message: Any) -> None:
        is_known = message["id"] in self.operations
        if self.connection_acknowledged and is_known:
            # Strawberry would quote the id, which may not fit into a close frame.
            await self.websocket.close(code=ID_IN_USE, reason="This id is in use already")
            return
        if self.connection_acknowledged and self._is_full():
            refusal = QuotaExceeded(
                f"This connection runs {limits.MAX_OPERATIONS} operations already. Complete one, "
                "or open another connection."
            )
            payload = [errors.refuse(refusal)]
            await self.websocket.send_json(
                {"id": message["id"], "type": "error", "payload": payload}
            )
            return
        await super().handle_subscribe(message)

    def _is_full(self) -> bool:
        most = self.max_subscriptions_per_connection
        return most is not None and len(self.operations) >= most

    async def run_operation(self, operation: RunningOperation[SocketContext, None]) -> None:
        told: list[errors.FormattedError] = []
        try:
            told = await self._perform(operation)
        except WebSocketDisconnected:
            return
        except DocumentRefused as refused:
            told = errors.present_all(refused.errors)
        except EventFailed as failed:
            told = failed.errors
        except Refusal as refusal:
            told = [errors.refuse(refusal)]
        except Exception as error:
            told = [errors.fault(error)]
        last: Any = {"id": operation.id, "type": "error", "payload": told}
        if not told:
            last = {"id": operation.id, "type": "complete"}
        with suppress(WebSocketDisconnected):
            await operation.send_operation_message(last)

    async def _perform(
        self, operation: RunningOperation[SocketContext, None]
    ) -> list[errors.FormattedError]:
        """Run an operation and send its results; return the errors that ended it, if any."""
        address = self.context.address
        request = Request(await self.context.viewer(), is_websocket=True, address=address)
        found = self.context.documents.operation(
            operation.query, operation.operation_name, operation.variables
        )
        scopes.check(request.viewer, found.needs)
        spend(self.context.backend, request, found.charge)
        is_query = found.type is OperationType.QUERY
        is_watched = found.type is OperationType.SUBSCRIPTION
        context = Context(
            self.context.backend,
            request,
            remember=is_query,
            is_answer=not is_watched,
        )
        if is_watched:
            await self._watch(operation, found, context)
            return []
        return await self._answer(operation, found, context)

    async def _watch(
        self, operation: RunningOperation[SocketContext, None], found: Operation, context: Context
    ) -> None:
        """Send every event of a subscription.

        An event that fails ends its stream with `error`: the client must not go on as if it had
        seen the event. It would take a `next` for one.
        """
        watched = await watch(found, operation.variables, context, self.context.selections)
        before = f'{{"id":{long_json.encode(operation.id)},"type":"next","payload":'

        async def send(event: Any) -> None:
            payload = watched.selection.payload(event)
            if not isinstance(payload, str):
                payload = await payload
            is_last = event.end is not None
            await self.websocket.send_event(f"{before}{payload}}}", is_last=is_last)

        async with aclosing(watched.events) as events:
            async for event in events:
                try:
                    await send(event)
                except ReaderTooSlow as slow:
                    await send(await events.athrow(slow))

    async def _answer(
        self, operation: RunningOperation[SocketContext, None], found: Operation, context: Context
    ) -> list[errors.FormattedError]:
        result = await execute(EXECUTABLE._schema, found, operation.variables, context)
        told = errors.present_all(result.errors or [])
        if is_request_error(result):
            return told
        payload = {"errors": told, "data": result.data} if told else {"data": result.data}
        following: Any = {"id": operation.id, "type": "next", "payload": payload}
        await operation.send_operation_message(following)
        return []


def malformed(message: object) -> str | None:
    """Return what is malformed about a client's message, or None.

    Reasons are constant and short: a close frame holds 123 bytes.
    """
    if not isinstance(message, dict):
        return "A message must be a JSON object"
    kind = message.get("type")
    payload = message.get("payload")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(payload, dict | None):
            return "Payload must be an object"
        return _malformed_init(payload) if kind == "connection_init" and payload else None
    if kind not in ("subscribe", "complete"):
        return "Unknown message type"
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID:
        return f"Id must be a string of 1 to {_MAX_ID} characters"
    return _malformed_payload(payload) if kind == "subscribe" else None


def _malformed_init(payload: dict[str, object]) -> str | None:
    """Refuse a payload without a credential: its connection would silently be anonymous."""
    if any(name.lower() == "authorization" for name in payload):
        return None
    return 'connection_init takes {"Authorization": "Bearer …"}, or no payload at all'


def _malformed_payload(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "Payload must be an object"
    if not isinstance(payload.get("query"), str):
        return "Query must be a string"
    if not isinstance(payload.get("operationName"), str | None):
        return "OperationName must be a string or null"
    if not all(isinstance(payload.get(name), dict | None) for name in ("variables", "extensions")):
        return "Variables and extensions must be objects or null"
    return None


def _is_too_large(text: str) -> bool:
    # A character takes four bytes at most, so most messages need no encoding to be measured.
    return len(text) > limits.MAX_FRAME // 4 and len(text.encode()) > limits.MAX_FRAME
