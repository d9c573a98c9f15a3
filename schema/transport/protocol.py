"""The server's side of graphql-transport-ws, without input and output.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from dataclasses import dataclass
from typing import Any, Final

from schema.errors import FormattedError
from schema.operations.long_json import encode

SUBPROTOCOL: Final = "graphql-transport-ws"
INIT_WITHIN_S: Final = 10.0
"""Seconds from the handshake in which `connection_init` must come."""

BAD_REQUEST: Final = 4400
UNAUTHORIZED: Final = 4401
FORBIDDEN: Final = 4403
UNKNOWN_SUBPROTOCOL: Final = 4406
INIT_TIMEOUT: Final = 4408
ID_IN_USE: Final = 4409
TOO_MANY_INITS: Final = 4429
INTERNAL_ERROR: Final = 4500

ACK: Final = '{"type":"connection_ack"}'
PONG: Final = '{"type":"pong"}'

_MAX_ID: Final = 256
"""Characters of an operation's id, which is kept while the operation runs."""


class Violation(Exception):
    """The client broke the protocol: close the connection.

    Reasons are short, because a close frame holds 123 bytes.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Initialise:
    """The client sends its credentials; answer with `ACK`."""

    payload: dict[str, object]


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Run an operation of any kind."""

    id: str
    query: str
    operation_name: str | None
    variables: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Complete:
    """The client wants no more of this operation."""

    id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with `PONG`."""


Received = Initialise | Subscribe | Complete | Ping | None
"""What the client asks for; None if nothing."""


class Protocol:
    """The state of one connection."""

    def __init__(self) -> None:
        self._is_initialised = False
        self._is_acknowledged = False
        self._running: set[str] = set()

    def receive(self, message: object) -> Received:
        """Take a decoded message.

        Raises:
            Violation: The message is malformed or comes at the wrong time.
        """
        match _checked(message):
            case {"type": "subscribe"} as asked:
                return self._subscribe(asked)
            case {"type": "complete", "id": id_}:
                return Complete(id_) if self.end(id_) else None
            case {"type": "ping"}:
                return Ping()
            case {"type": "connection_init"} as asked:
                return self._initialise(asked.get("payload") or {})
        return None

    def acknowledge(self) -> str:
        """Accept the client's credentials; return the message that says so."""
        self._is_acknowledged = True
        return ACK

    def end(self, id_: str) -> bool:
        """Note that an operation is over; return whether it was still running."""
        if id_ not in self._running:
            return False
        self._running.remove(id_)
        return True

    @property
    def operations(self) -> int:
        """The number of running operations."""
        return len(self._running)

    def _initialise(self, payload: dict[str, object]) -> Initialise:
        if self._is_initialised:
            raise Violation(TOO_MANY_INITS, "Too many initialisation requests")
        self._is_initialised = True
        return Initialise(payload)

    def _subscribe(self, message: dict[str, Any]) -> Subscribe:
        if not self._is_acknowledged:
            raise Violation(UNAUTHORIZED, "Unauthorized")
        id_, payload = message["id"], message["payload"]
        if id_ in self._running:
            # The id itself may not fit into a close frame.
            raise Violation(ID_IN_USE, "This id is in use already")
        self._running.add(id_)
        return Subscribe(
            id_, payload["query"], payload.get("operationName"), payload.get("variables")
        )


def before_payload(id_: str) -> str:
    """Return what comes before the payload of an operation's `next`; `}` comes after it."""
    return f'{{"id":{encode(id_)},"type":"next","payload":'


def error(id_: str, errors: list[FormattedError]) -> str:
    """Return the message that ends an operation with errors."""
    return encode({"id": id_, "type": "error", "payload": errors})


def complete(id_: str) -> str:
    """Return the message that ends an operation in good order."""
    return encode({"id": id_, "type": "complete"})


def _checked(message: object) -> dict[str, Any]:
    """Return a well-formed message.

    Raises:
        Violation: It is malformed.
    """
    problem = _problem_of(message)
    if problem is not None:
        raise Violation(BAD_REQUEST, problem)
    assert isinstance(message, dict)
    return message


def _problem_of(message: object) -> str | None:
    if not isinstance(message, dict):
        return "A message must be a JSON object"
    kind = message.get("type")
    payload = message.get("payload")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(payload, dict | None):
            return "Payload must be an object"
        return _problem_of_init(payload) if kind == "connection_init" and payload else None
    if kind not in ("subscribe", "complete"):
        return "Unknown message type"
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID:
        return f"Id must be a string of 1 to {_MAX_ID} characters"
    return _problem_of_payload(payload) if kind == "subscribe" else None


def _problem_of_init(payload: dict[str, object]) -> str | None:
    """Refuse a payload without a credential: its connection would silently be anonymous."""
    if any(name.lower() == "authorization" for name in payload):
        return None
    return 'connection_init takes {"Authorization": "Bearer …"}, or no payload at all'


def _problem_of_payload(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "Payload must be an object"
    if not isinstance(payload.get("query"), str):
        return "Query must be a string"
    if not isinstance(payload.get("operationName"), str | None):
        return "OperationName must be a string or null"
    if not all(isinstance(payload.get(name), dict | None) for name in ("variables", "extensions")):
        return "Variables and extensions must be objects or null"
    return None
