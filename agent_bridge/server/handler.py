"""The interface through which the bridge stores what agents say; `asgi.py` passes it in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent_bridge.protocol import Ack, Input, Nack, State, Utterance
from agent_bridge.server.tokens import Binding

__all__ = [
    "AccessEnded",
    "Binding",
    "BridgeHandler",
    "HelloResult",
    "Input",
    "NotNow",
    "Reply",
    "SessionGone",
]

Reply = Callable[[Ack | Nack], None]
"""Answers one utterance; may be called at once or later, in the event loop's thread."""


class SessionGone(Exception):
    """The session does not exist, or has been deleted."""


class AccessEnded(Exception):
    """The login or API token behind a media token was revoked or has expired."""


class NotNow(Exception):
    """Nothing can be stored at the moment; this is no fault, and has been logged.

    The connection is closed with INTERNAL, so that the client reconnects.
    """


@dataclass(frozen=True, slots=True)
class HelloResult:
    """What the handler tells an agent that connects."""

    is_current: bool
    """Whether there is no newer attempt."""
    stop_reason: str | None = None
    """Why the agent must stop at once, if it must."""
    inputs: tuple[Input, ...] = ()
    """Typed lines that no agent has acknowledged."""


class BridgeHandler(Protocol):
    """Handles the events of agents' connections.

    Each call concerns one connection, whose id distinguishes it from earlier ones of the same
    attempt. The endpoint itself publishes the `Fence` of a new connection, before it calls `hello`.
    Calls that wait are made one after the other. `utterance` and `agent_state` are called as frames
    come, so they may overtake a `ready` or `input_ack` that waits for the database. `disconnected`
    of an old connection may come after `hello` of the new one. Every `hello` that returned is
    followed by one `bye` or one `disconnected`.
    """

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> HelloResult:
        """An agent has connected with a valid token.

        Raises:
            SessionGone: The session does not exist, or has been deleted.
            NotNow: Nothing can be stored at the moment.
        """

    async def ready(self, binding: Binding, connection: str) -> None:
        """The agent can hear and answer. Called again after each reconnect.

        Raises:
            NotNow: Nothing can be stored at the moment.
        """

    def utterance(
        self, binding: Binding, connection: str, utterance: Utterance, reply: Reply
    ) -> None:
        """Take an utterance without waiting; `reply` once it is accepted or, if final, synced."""

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        """The agent's state has changed; it is only displayed."""

    async def input_ack(self, binding: Binding, key: str) -> None:
        """The agent has handled a typed line."""

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        """The agent leaves. Its finals have been answered, or the time for that has run out."""

    async def disconnected(self, binding: Binding, connection: str) -> None:
        """The connection ended without a bye: it broke or was fenced, or the server stops."""
