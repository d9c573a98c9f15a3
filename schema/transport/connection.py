"""One connection that speaks graphql-transport-ws: runs its operations and sends their results.

It knows nothing of sockets: a shell hands it messages, and it writes to an `Outlet`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

from graphql import OperationType
from starlette.requests import HTTPConnection

from agent_bridge.protocol import close_reason
from hub.direct import Outlet
from hub.subscription import ReaderTooSlow
from resolvers.backend import Backend
from resolvers.refusals import BadUserInput, QuotaExceeded, Refusal
from resolvers.viewer import Viewer
from schema import errors, scopes
from schema.context import Context, Request, spend
from schema.executable import EXECUTABLE
from schema.operations import limits, long_json
from schema.operations.documents import DocumentRefused, Documents, Operation
from schema.operations.events import EventFailed, Selections, Watch, watch
from schema.operations.execution import execute, is_request_error
from schema.transport import protocol
from schema.transport.authenticator import Authenticator
from schema.transport.requests import read_json

TOO_LARGE = 1009

_Answered = protocol.Initialise | protocol.Subscribe | protocol.Ping
"""What the server answers, unlike `complete`."""


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
        handshake: HTTPConnection,
    ) -> None:
        self.backend = backend
        self.documents = documents
        self.selections = selections
        self.address = handshake.client.host if handshake.client else None
        self._authorization: object = None
        self._access = access
        self._handshake = handshake

    async def open(self, payload: dict[str, object]) -> None:
        """Take the credentials of `connection_init`.

        Raises:
            Unauthenticated: They are invalid.
        """
        for name, value in payload.items():
            if name.lower() == "authorization" and value is not None:
                self._authorization = value
                break
        await self.viewer()

    async def viewer(self) -> Viewer | None:
        """Return the current viewer, by connection_init's credentials or else the handshake's.

        Raises:
            Unauthenticated: when the token is invalid or no longer valid.
        """
        if self._authorization is not None:
            return await self._access.bearer(self._authorization)
        return await self._access.viewer(self._handshake)


class Connection:
    """Serves one client, from the accepted handshake on."""

    def __init__(self, context: SocketContext, outlet: Outlet) -> None:
        self._context = context
        self._outlet = outlet
        self._protocol = protocol.Protocol()
        self._operations: dict[str, asyncio.Task[None] | _Subscriber] = {}
        self._is_over = False
        self._backlog: deque[str | None] = deque()
        """Messages that came while an earlier one was still being taken."""
        self._taking: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(protocol.INIT_WITHIN_S, self._init_is_late)

    # ------------------------------------------------------------------ messages

    def receive(self, text: str | None) -> None:
        """Take a message; None stands for a binary one."""
        if self._is_over:
            return
        if self._taking is not None:
            self._backlog.append(text)
            return
        try:
            rest = self._take(text)
        except Exception as error:  # the server must not be hit by a message's fault
            self._fail(error)
            return
        if rest is not None:
            self._outlet.pause_reading()
            self._taking = asyncio.create_task(self._take_all(rest))

    async def closed(self) -> None:
        """Cancel everything, as the client is gone."""
        self._is_over = True
        self._deadline.cancel()
        running = [*self._operations.values(), *([self._taking] if self._taking else [])]
        tasks = [task for each in running if (task := _cancelled(each)) is not None]
        if tasks:
            await asyncio.wait(tasks)

    async def _take_all(self, rest: Coroutine[Any, Any, None]) -> None:
        try:
            await rest
            while self._backlog and not self._is_over:
                if (then := self._take(self._backlog.popleft())) is not None:
                    await then
        except Exception as error:
            self._fail(error)
        finally:
            self._taking = None
            self._outlet.resume_reading()

    def _take(self, text: str | None) -> Coroutine[Any, Any, None] | None:
        """Take a message; return what there is to await for it, if anything."""
        if text is None:
            self._close(protocol.BAD_REQUEST, "WebSocket message type must be text")
        elif _is_too_large(text):
            self._close(TOO_LARGE, "A message may have 1 MiB at most")
        elif len(text) > long_json.WINDOW:
            return self._take_long(text)
        else:
            try:
                return self._handle(long_json.read_short(text))
            except (ValueError, RecursionError):
                self._close_as_not_json()
        return None

    async def _take_long(self, text: str) -> None:
        try:
            message = await read_json(text)
        except BadUserInput:
            self._close_as_not_json()
            return
        if (rest := self._handle(message)) is not None:
            await rest

    def _handle(self, message: object) -> Coroutine[Any, Any, None] | None:
        try:
            received = self._protocol.receive(message)
        except protocol.Violation as violation:
            self._close(violation.code, violation.reason)
            return None
        if isinstance(received, protocol.Complete):
            self._operations.pop(received.id).cancel()
            return None
        if received is None:
            return None
        if not self._outlet.is_writable:
            # A client that does not read could have answers without limit written otherwise.
            return self._answer_later(received)
        return self._answer_to(received)

    async def _answer_later(self, received: _Answered) -> None:
        await self._until_writable()
        if not self._is_over and (rest := self._answer_to(received)) is not None:
            await rest

    def _answer_to(self, received: _Answered) -> Coroutine[Any, Any, None] | None:
        match received:
            case protocol.Subscribe():
                self._subscribe(received)
            case protocol.Ping():
                self._outlet.write(protocol.PONG)
            case protocol.Initialise(payload):
                self._deadline.cancel()
                return self._initialise(payload)
        return None

    async def _until_writable(self) -> None:
        """Wait for as long as it takes: a client that stays away answers no ping."""
        while not self._outlet.is_writable:
            with suppress(ReaderTooSlow):
                await self._outlet.until_writable()

    async def _initialise(self, payload: dict[str, object]) -> None:
        try:
            await self._context.open(payload)
        except Refusal:
            self._close(protocol.FORBIDDEN, "Forbidden")
        except Exception as error:
            self._fail(error)
        else:
            self._outlet.write(self._protocol.acknowledge())

    def _init_is_late(self) -> None:
        self._close(protocol.INIT_TIMEOUT, "Connection initialisation timeout")

    def _fail(self, error: Exception) -> None:
        errors.fault(error)
        self._close(protocol.INTERNAL_ERROR, "Internal server error")

    def _close_as_not_json(self) -> None:
        self._close(protocol.BAD_REQUEST, "WebSocket message must be valid JSON")

    def _close(self, code: int, reason: str) -> None:
        self._is_over = True
        self._backlog.clear()
        self._outlet.close(code, close_reason(reason))

    # ------------------------------------------------------------------ operations

    def _subscribe(self, asked: protocol.Subscribe) -> None:
        if self._protocol.operations > limits.MAX_OPERATIONS:
            self.end(
                asked.id,
                QuotaExceeded(
                    f"This connection runs {limits.MAX_OPERATIONS} operations already. Complete "
                    "one, or open another connection."
                ),
            )
            return
        self._operations[asked.id] = asyncio.create_task(self._run(asked))

    async def _run(self, asked: protocol.Subscribe) -> None:
        """Answer a query or a mutation, or start a subscription, which then runs by itself."""
        try:
            watched = await self._perform(asked)
        except Exception as error:
            if self._is_mine(asked.id):
                self.end(asked.id, error)
            return
        if not self._is_mine(asked.id):
            return
        if watched is None:
            self.end(asked.id)
        else:
            subscriber = _Subscriber(self, self._outlet, asked.id, watched)
            self._operations[asked.id] = subscriber
            watched.stream.start(subscriber)

    def _is_mine(self, id_: str) -> bool:
        """Whether the current task still runs this operation: its id may be another's by now."""
        return self._operations.get(id_) is asyncio.current_task()

    def end(self, id_: str, error: Exception | None = None) -> None:
        """Forget an operation, then send its last message: its id may be used again at once."""
        self._protocol.end(id_)
        self._operations.pop(id_, None)
        told = [] if error is None else _told(error)
        self._outlet.write(protocol.error(id_, told) if told else protocol.complete(id_))

    async def _perform(self, asked: protocol.Subscribe) -> Watch | None:
        context = self._context
        request = Request(await context.viewer(), is_websocket=True, address=context.address)
        found = context.documents.operation(asked.query, asked.operation_name, asked.variables)
        scopes.check(request.viewer, found.needs)
        spend(context.backend, request, found.charge)
        is_watched = found.type is OperationType.SUBSCRIPTION
        of_operation = Context(
            context.backend,
            request,
            remember=found.type is OperationType.QUERY,
            is_answer=not is_watched,
        )
        if is_watched:
            return await watch(found, asked.variables, of_operation, context.selections)
        await self._answer(asked, found, of_operation)
        return None

    async def _answer(self, asked: protocol.Subscribe, found: Operation, context: Context) -> None:
        result = await execute(EXECUTABLE._schema, found, asked.variables, context)
        told = errors.present_all(result.errors or [])
        if is_request_error(result):
            raise DocumentRefused(result.errors or [])
        payload = {"errors": told, "data": result.data} if told else {"data": result.data}
        text = await long_json.write(payload)
        await self._until_writable()
        self._outlet.write(f"{protocol.before_payload(asked.id)}{text}}}")


class _Subscriber:
    """Writes the events of one subscription; a `Reader` of its stream.

    An event that fails ends the stream with `error`: the client must not go on as if it had seen
    the event. It would take a `next` for one.
    """

    __slots__ = (
        "_before",
        "_connection",
        "_end",
        "_id",
        "_last",
        "_outlet",
        "_sending",
        "_watched",
    )

    def __init__(self, connection: Connection, outlet: Outlet, id_: str, watched: Watch) -> None:
        self._connection = connection
        self._outlet = outlet
        self._id = id_
        self._watched = watched
        self._before = protocol.before_payload(id_)
        self._sending: asyncio.Task[None] | None = None
        """Sends an event that has fields to wait for."""
        self._last: object | None = None
        """The last event, if it came while another was being sent."""
        self._end: tuple[Exception | None] | None = None
        """What the stream ended with while an event was being sent."""

    def cancel(self) -> asyncio.Task[None] | None:
        """Send nothing more; return a task to wait for, if there is one."""
        self.drop()
        return self._watched.stream.close()

    @property
    def is_ready(self) -> bool:
        """See `Reader`."""
        return self._sending is None and self._outlet.is_writable

    async def until_ready(self) -> None:
        """See `Reader`."""
        if self._sending is not None:
            await asyncio.wait([self._sending])
        else:
            await self._outlet.until_writable()

    def take(self, event: object, *, is_last: bool) -> None:
        """See `Reader`."""
        if self._sending is not None:
            assert is_last
            self._last = event
            return
        payload = self._watched.selection.payload(event)
        if isinstance(payload, str):
            self._write(payload)
        else:
            self._sending = asyncio.create_task(self._send(payload))

    def drop(self) -> None:
        """See `Reader`."""
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def end(self, error: Exception | None) -> None:
        """See `Reader`."""
        if self._sending is not None:
            self._end = (error,)
        else:
            self._connection.end(self._id, error)

    def _write(self, payload: str) -> None:
        self._outlet.write(f"{self._before}{payload}}}")

    async def _send(self, payload: Awaitable[str]) -> None:
        try:
            self._write(await payload)
            if self._last is not None:
                last = self._watched.selection.payload(self._last)
                self._write(last if isinstance(last, str) else await last)
        except Exception as error:
            # Not even the last event is sent: its cursor comes after the event that failed.
            self._watched.stream.close()
            self._end = (error,)
        self._sending = None
        if self._end is not None:
            self._connection.end(self._id, *self._end)


def _cancelled(running: "asyncio.Task[None] | _Subscriber") -> asyncio.Task[None] | None:
    """Cancel what runs; return the task to wait for, if there is one."""
    if isinstance(running, _Subscriber):
        return running.cancel()
    running.cancel()
    return running


def _told(error: Exception) -> list[errors.FormattedError]:
    """Return what the client is told of what ended an operation."""
    match error:
        case DocumentRefused():
            return errors.present_all(error.errors)
        case EventFailed():
            return error.errors
        case Refusal():
            return [errors.refuse(error)]
    return [errors.fault(error)]


def _is_too_large(text: str) -> bool:
    # A character takes four bytes at most, so most messages need no encoding to be measured.
    return len(text) > limits.MAX_FRAME // 4 and len(text.encode()) > limits.MAX_FRAME
