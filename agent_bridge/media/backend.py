"""The interface of media backends: they start agents, and carry the person's sound."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from starlette.routing import BaseRoute

from agent_bridge.server.handler import AccessEnded, NotNow, SessionGone
from agent_bridge.server.workers import StartRequest

__all__ = [
    "AccessEnded",
    "Awaited",
    "Condition",
    "MediaBackend",
    "MediaConnection",
    "MediaListener",
    "MediaServer",
    "NotNow",
    "SessionGone",
    "Traffic",
]


@dataclass(frozen=True, slots=True)
class MediaConnection:
    """The address and token with which the person's media connects."""

    transport: str
    url: str
    token: str = field(repr=False)
    expires_at: datetime
    room_name: str | None = None
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether agents can be asked for now, for monitoring."""

    is_ready: bool
    parts: Mapping[str, str] = field(default_factory=dict)
    """The state of each other thing that this depends on, in a word or two."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counts since the start, for metrics."""

    audio_connections: int = 0
    """Connections open now, on this server itself."""
    audio_dropped_seconds: float = 0.0
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Calls to another server, by name and outcome."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """An agent that was asked for and has not connected to the server yet."""

    session: str
    attempt: int
    agent_name: str
    room: str
    is_being_asked: bool = False
    """Whether the request for it is still under way."""
    is_ours: bool = True
    """Whether this process made the request; another one's may be under way unseen."""


class MediaListener(Protocol):
    """Receives the person's join and leave events, and knows the conversations."""

    def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Watch the access of a person whose media is connected, until the context is left.

        Args:
            session_id: The session in which they take part.
            access: The login or API token behind their media token.
            on_end: Called once if the access is revoked or expires, or the session changes hands.

        Raises:
            AccessEnded: On entering the context, if the access had already ended.
        """

    async def person_came(self, session_id: str) -> None:
        """The person of this session is connected; called again when a connection replaces one.

        Raises:
            SessionGone: The conversation is over.
            NotNow: The database can't be written now.
        """

    async def person_left(self, session_id: str) -> None:
        """The person's last connection has ended."""

    async def rooms(self) -> Mapping[str, str]:
        """Return the session of each room that this process watches, all of them running."""

    async def ended_among(self, rooms: Iterable[str]) -> set[str]:
        """Return those of these rooms whose conversations are over."""

    async def awaited(self) -> Sequence[Awaited]:
        """Return the agents that somebody waits for."""

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        """Ask for the agent again, as a new attempt, because nobody took this one.

        An agent that still comes for the older attempt is fenced off. Returns once the new one is
        asked for.

        Returns:
            The new attempt; None if no agent is needed any more, or the agent has come.

        Raises:
            NotNow: The database can't be written now.
        """


class MediaServer(Protocol):
    """The running part of a media backend: it serves people and reports who comes and leaves."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes to mount for it."""

    async def run(self) -> None:
        """Do the backend's background work until cancelled."""

    def shut_down(self) -> None:
        """Disconnect everybody; they may reconnect."""

    def traffic(self) -> Traffic:
        """Return the current counts."""

    def end(self, session: str, room: str) -> None:
        """Close the media of a conversation that is over; never waits."""


class MediaBackend(Protocol):
    """One way to hold conversations; `asgi.py` chooses it, and no other code asks which it is."""

    def serve(self, listener: MediaListener) -> MediaServer:
        """Return its running part, which tells this listener of people; called once."""

    async def condition(self) -> Condition:
        """Return whether agents can be asked for; answers within two seconds."""

    def knows(self, agent_name: str) -> bool:
        """Whether it makes sense to ask for this agent."""

    def free(self, agent_name: str) -> int | None:
        """Return how many more conversations this agent can take; None if that is unknown."""

    async def start(self, request: StartRequest) -> None:
        """Ask for an agent; returns before it has come, and within a few seconds.

        Raises:
            NoAgent: No agent can be asked for now.
        """

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Make a new connection for the person, valid for this session only.

        It ends with `access`, the login or API token that the person used.
        """
