"""What the endpoint asks of those who keep what agents say; `asgi.py` passes it in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent_bridge.protocol import Ack, Input, Nack, State, Utterance
from agent_bridge.server.tokens import Binding

__all__ = [
    "AccessEnded",
    "Binding",
    "BridgeHandler",
    "Input",
    "NotNow",
    "Reply",
    "SessionGone",
    "Welcome",
]

Reply = Callable[[Ack | Nack], None]
"""Answers one utterance; may be called at once or later, from the event loop's thread."""


class SessionGone(Exception):
    """There is no such session, or it has been deleted."""


class AccessEnded(Exception):
    """The login or API token behind a media token was revoked or has expired."""


class NotNow(Exception):
    """It can't be taken in at the moment, which is no fault and has been said already.

    The connection is closed with INTERNAL, so that it comes again.
    """


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an agent finds when it connects."""

    is_current: bool
    """Whether no newer attempt has been made."""
    stop_reason: str | None = None
    """Why it is to stop again at once, if it is."""
    inputs: tuple[Input, ...] = ()
    """Typed lines that no agent has acknowledged."""


class BridgeHandler(Protocol):
    """Calls concern one connection, whose id tells it from earlier ones of the same attempt.

    The endpoint itself publishes the `Fence` of a new connection, before it calls `hello`. The
    calls that wait are made one after the other; `utterance` and `agent_state` are made as they
    come, and so may overtake a `ready` or `input_ack` that waits for the database. `disconnected`
    of an old connection may come after `hello` of the new one. Every `hello` that returned is
    followed by one `bye` or one `disconnected`.
    """

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> Welcome:
        """An agent has come with a good token.

        Raises:
            SessionGone, NotNow: see there.
        """

    async def ready(self, binding: Binding, connection: str) -> None:
        """It can hear and answer. Comes again after each reconnect.

        Raises:
            NotNow: see there.
        """

    def utterance(
        self, binding: Binding, connection: str, utterance: Utterance, reply: Reply
    ) -> None:
        """Take what was said, without waiting; `reply` once it is taken or, if final, synced."""

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        """What it is doing, for show."""

    async def input_ack(self, binding: Binding, key: str) -> None:
        """It has taken care of a typed line."""

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        """It leaves; every utterance of it that was answered was answered before."""

    async def disconnected(self, binding: Binding, connection: str) -> None:
        """The connection has ended without a bye: broken, fenced, or the server stops."""
