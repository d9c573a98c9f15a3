"""GraphQL over HTTP (draft specification of 2025), and over WebSocket on the same path."""

import re
from collections.abc import Sequence
from typing import Any

from graphql import ExecutionResult, OperationType
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, RateLimited, Refusal
from schema import errors, playground, scopes
from schema.context import Context, Request, spend
from schema.executable import EXECUTABLE
from schema.operations import limits, long_json
from schema.operations.documents import DocumentRefused, Documents
from schema.operations.events import Selections
from schema.operations.execution import execute, is_request_error
from schema.transport import negotiation
from schema.transport.authenticator import Authenticator
from schema.transport.connection import Connection, SocketContext
from schema.transport.requests import GraphQLRequest, from_mapping, from_query_string, read_json
from schema.transport.websocket import serve

_STATUS = {"UNAUTHENTICATED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404, "RATE_LIMITED": 429}
"""HTTP status of refusals before execution; later ones are errors in the response."""

_CROSS_ORIGIN = {
    # Without Allow-Credentials, browsers don't send our cookie or expose responses to it.
    "Access-Control-Allow-Origin": "*",
}
_PREFLIGHT = {
    **_CROSS_ORIGIN,
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Max-Age": "7200",
    "Vary": "Access-Control-Request-Headers",
}
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~, -]{0,2000}", re.ASCII)
"""A list of header names (RFC 9110, section 5.6.2)."""
_HEADERS = {
    **_CROSS_ORIGIN,
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, Cookie, Origin",
    "X-Content-Type-Options": "nosniff",
}


class _HTTPRefusal(Exception):
    """The request is refused with an HTTP status, before anything is executed."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = errors.refuse(BadUserInput(message))
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class GraphQLEndpoint:
    """Everything under /graphql except the playground's files."""

    def __init__(
        self,
        backend: Backend,
        access: Authenticator,
        *,
        may_introspect: bool = True,
        has_playground: bool = True,
    ) -> None:
        self.backend = backend
        self.access = access
        self.has_playground = has_playground
        self.documents = Documents(EXECUTABLE._schema, may_introspect=may_introspect)
        self.selections = Selections()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket; every origin may connect, as only bearer tokens count."""
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            context = SocketContext(
                self.backend, self.access, self.documents, self.selections, socket
            )
            await serve(socket, lambda outlet: Connection(context, outlet))
            return
        response = await self.answer(HTTPRequest(scope, receive))
        await response(scope, receive, send)

    async def answer(self, request: HTTPRequest) -> Response:
        """Answer a request; every error becomes a response."""
        media_type = negotiation.preferred(request.headers.get("accept"))
        try:
            if request.method == "OPTIONS":
                return _preflight(request)
            if request.method == "GET" and "sec-websocket-key" in request.headers:
                raise _HTTPRefusal(
                    426,
                    "This is a WebSocket handshake without its Upgrade header: a proxy on the way "
                    "has taken it. Let the proxy hand on Upgrade and Connection.",
                    Upgrade="websocket",
                    Connection="Upgrade",
                )
            if self.has_playground and request.method == "GET" and _is_for_a_person(request):
                return playground.page()
            if media_type is None:
                raise _HTTPRefusal(
                    406, f"The answer can be {negotiation.GRAPHQL} or {negotiation.JSON}."
                )
            return await self._answer_operation(request, media_type)
        except _HTTPRefusal as refusal:
            headers, told = refusal.headers, refusal.error
            return _refused(media_type, refusal.status, told, headers)
        except Refusal as refusal:
            headers = {"WWW-Authenticate": "Bearer"} if refusal.code == "UNAUTHENTICATED" else {}
            if isinstance(refusal, RateLimited):
                headers["Retry-After"] = str(refusal.retry_after)
            status = _STATUS.get(refusal.code, 400)
            return _refused(media_type, status, errors.refuse(refusal), headers)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            return _refused(media_type, 500, errors.fault(error), {})

    async def _answer_operation(self, request: HTTPRequest, media_type: str) -> Response:
        asked = await _read(request)
        is_foreign = self.access.is_foreign(request.headers)
        address = request.client.host if request.client else None
        asks = Request(
            await self.access.viewer(request),
            is_foreign=is_foreign,
            address=address,
            browser=self.access.browser(request),
        )
        try:
            operation = self.documents.operation(asked.query, asked.operation_name, asked.variables)
        except DocumentRefused as refused:
            return _request_error(media_type, errors.present_all(refused.errors))
        _check_type(request.method, operation.type)
        scopes.check(asks.viewer, operation.needs)
        spend(self.backend, asks, operation.charge)
        is_query = operation.type is OperationType.QUERY
        context = Context(self.backend, asks, remember=is_query)
        result = await execute(EXECUTABLE._schema, operation, asked.variables, context)
        response = await _result(media_type, result)
        if context.new_login is not None:
            self.access.set_cookie(response, context.new_login)
        elif context.has_left:
            self.access.clear_cookie(response)
        return response


def _preflight(request: HTTPRequest) -> Response:
    """Allow every header: they can do no harm, as cookies from other origins are ignored."""
    wanted = request.headers.get("access-control-request-headers", "")
    allowed = wanted if _HEADER_NAMES.fullmatch(wanted) else ""
    names = f"Accept, Authorization, Content-Type{', ' if allowed else ''}{allowed}"
    headers = {**_PREFLIGHT, "Access-Control-Allow-Headers": names}
    return Response(status_code=204, headers=headers)


def _is_for_a_person(request: HTTPRequest) -> bool:
    has_query = "query" in request.query_params
    return not has_query and negotiation.wants_html(request.headers.get("accept"))


async def _read(request: HTTPRequest) -> GraphQLRequest:
    if request.method == "GET":
        return await from_query_string(request.query_params)
    if request.method != "POST":
        raise _HTTPRefusal(405, "Use GET for queries, POST for everything.", Allow="GET, POST")
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if kind.strip() != negotiation.JSON or charset not in ("", "charset=utf-8"):
        raise _HTTPRefusal(415, "The body must be `Content-Type: application/json` in UTF-8.")
    return from_mapping(await read_json(await _body(request)))


async def _body(request: HTTPRequest) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.MAX_BODY:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.MAX_BODY:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large() -> _HTTPRefusal:
    # The rest of the body is not read, so the connection can't be reused.
    message = f"The body may have {limits.MAX_BODY // 1024 // 1024} MiB at most."
    return _HTTPRefusal(413, message, Connection="close")


def _check_type(method: str, operation: OperationType) -> None:
    if operation is OperationType.SUBSCRIPTION:
        raise _HTTPRefusal(
            400, "Subscriptions need a WebSocket on this path (graphql-transport-ws)."
        )
    if operation is OperationType.MUTATION and method == "GET":
        raise _HTTPRefusal(405, "A mutation must be sent by POST.", Allow="POST")


async def _result(media_type: str, result: ExecutionResult) -> Response:
    told = errors.present_all(result.errors or [])
    if is_request_error(result):
        return _request_error(media_type, told)
    body: dict[str, Any] = {"data": result.data}
    if told:
        body = {"errors": told, **body}
    return _response(media_type, 200, await long_json.write(body))


def _request_error(media_type: str, told: Sequence[errors.FormattedError]) -> Response:
    # Old clients read errors in application/json only if the status is 200.
    status = 400 if media_type == negotiation.GRAPHQL else 200
    if any(error["extensions"]["code"] == "INTERNAL" for error in told):
        status = 500
    return _response(media_type, status, long_json.encode({"errors": told}))


def _refused(
    media_type: str | None, status: int, told: errors.FormattedError, headers: dict[str, str]
) -> Response:
    text = long_json.encode({"errors": [told]})
    response = _response(media_type or negotiation.JSON, status, text)
    response.headers.update(headers)
    return response


def _response(media_type: str, status: int, text: str) -> Response:
    return Response(
        text,
        status_code=status,
        headers={**_HEADERS, "Content-Type": f"{media_type}; charset=utf-8"},
    )
