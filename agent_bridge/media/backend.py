"""Where conversations are held: how an agent is asked for, and how a person's sound travels."""

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
    "NotNow",
    "SessionGone",
    "Traffic",
]


@dataclass(frozen=True, slots=True)
class MediaConnection:
    """Where and with which token the person's media connects."""

    transport: str
    url: str
    token: str = field(repr=False)
    expires_at: datetime
    room_name: str | None = None
    sample_rate: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether agents can be asked for now, for those who watch the server."""

    is_ready: bool
    parts: Mapping[str, str] = field(default_factory=dict)
    """What this depends on beside the server itself, each in a word or two."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has passed since the start, for those who count."""

    audio_connections: int = 0
    """Open now, on this server itself."""
    audio_dropped_seconds: float = 0.0
    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Calls to another server, by name and outcome."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """An agent that was asked for, and has not come to the server yet."""

    session: str
    attempt: int
    agent_name: str
    room: str
    is_being_asked: bool = False
    """Whether the asking itself is still under way."""


class MediaListener(Protocol):
    """Who wants to know which people can be heard, and knows which conversations there are."""

    def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Watch over the access of a person whose media is connected, until the context is left.

        Args:
            session_id: the session that they take part in.
            access: the login or API token that their media token was made from.
            on_end: called once when that is revoked or expires, or the session is another's.

        Raises:
            AccessEnded: it had ended already; on entering the context.
        """

    async def person_came(self, session_id: str) -> None:
        """The person of this session is connected; said again when a connection replaces one.

        Raises:
            SessionGone, NotNow: see there.
        """

    async def person_left(self, session_id: str) -> None:
        """No connection of the person is left."""

    async def rooms(self) -> Mapping[str, str]:
        """Return the session of every room in which a conversation goes on."""

    async def ended_among(self, rooms: Iterable[str]) -> set[str]:
        """Return which of these rooms were those of conversations that are over."""

    async def awaited(self) -> Sequence[Awaited]:
        """Return the agents that are waited for."""

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        """Ask for the agent once more, by a new attempt: nobody has taken this one on.

        Who comes with the older attempt after all is fenced off. Returns once it is asked for.

        Returns:
            The new attempt; None when there is nothing to ask for any more, or it has come.

        Raises:
            NotNow: see there.
        """


class MediaBackend(Protocol):
    """One of the ways to hold conversations; `asgi.py` chooses it, and nobody else asks which."""

    def listen(self, listener: MediaListener) -> None:
        """Name who is told of people; called once, before everything else."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return what is to be mounted for it."""

    async def run(self) -> None:
        """Do what has to be done all the time, for as long as the server lives."""

    def shut_down(self) -> None:
        """Send away who is connected; they may come back."""

    async def condition(self) -> Condition:
        """Say whether agents can be asked for; answers within two seconds."""

    def traffic(self) -> Traffic:
        """Return the figures of now."""

    def knows(self, agent_name: str) -> bool:
        """Whether it makes sense to ask for this agent."""

    def free(self, agent_name: str) -> int | None:
        """Return how many more conversations this agent can take; None where nobody can tell."""

    async def start(self, request: StartRequest) -> None:
        """Ask for an agent; returns before it has come, and within a few seconds.

        Raises:
            NoAgent: it can't be asked for.
        """

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Make a fresh connection for the person, good for this session alone.

        It ends with `access`, the login or API token that the person asks with.
        """

    def end(self, session: str, room: str) -> None:
        """Close what belongs to a conversation that is over; never waits."""
