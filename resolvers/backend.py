"""What every use case needs at hand, made once by `asgi.build_app`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agent_bridge.media.backend import MediaConnection
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import StartRequest
from hub.hub import Hub
from models import Session
from resolvers.accounts.rate_limits import Budgets, RateLimits
from resolvers.sessions.connections import Connections
from resolvers.transcripts.writer import TranscriptWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings that the use cases go by."""

    agent_name: str = "voxql"
    public_url: str = "http://127.0.0.1:8000"
    start_timeout: timedelta = timedelta(seconds=5)
    """From the commit that asks for an agent to FAILED."""
    retry_within: timedelta = timedelta(seconds=60)
    """From FAILED to ENDED."""
    grace: timedelta = timedelta(seconds=10)
    """From ENDING to ENDED while an agent is still draining."""
    abandon_after: timedelta = timedelta(seconds=60)
    """Without an agent, or without the person, from ACTIVE to the end."""
    reconnect_within: timedelta = timedelta(seconds=10)
    """The longest pause of a worker's reconnect (docs/bridge-protocol.md)."""
    ask_again_after: timedelta = timedelta(seconds=0.5)
    """From finding no worker, while they may be reconnecting, to the next try."""
    agent_retry_after: timedelta = timedelta(seconds=5)
    """From losing an agent to the one new attempt that nobody has to ask for."""
    running_sessions: int = 100
    """Conversations that one user may have going at once."""


class Agents(Protocol):
    """Who conversations are handed to; see `agent_bridge.media.backend.MediaBackend`."""

    def knows(self, agent_name: str) -> bool:
        """Whether it makes sense to ask for this agent."""

    def free(self, agent_name: str) -> int | None:
        """Return how many more conversations can be taken now; None where nobody can tell."""

    async def start(self, request: StartRequest) -> None:
        """Ask for an agent, without waiting until it has come.

        Raises:
            NoAgent: nobody can be asked.
        """


class Media(Protocol):
    """How the person's sound travels; see `agent_bridge.media.backend.MediaBackend`."""

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Make a fresh connection, good for this session alone, and as long as this access."""


def now() -> datetime:
    """Return the time as it is kept everywhere: aware, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Backend:
    """What every use case is handed first."""

    config: Config
    hub: Hub
    writer: TranscriptWriter
    agents: Agents
    media: Media
    tokens: Tokens
    limiter: RateLimits
    budgets: Budgets | None = None
    """How much work each viewer may ask for; None: any."""
    connections: Connections = field(default_factory=Connections)
    dispatching: dict[asyncio.Task[Session], str] = field(default_factory=dict)
    """What asks for agents just now, and for which session; see `resolvers.sessions.dispatch`."""
    clock: Callable[[], datetime] = now
    workers_back_by: datetime | None = None
    """Until then workers may still be reconnecting after this server's start."""

    def may_get_workers(self, now: datetime) -> bool:
        """Whether a worker that is missing may only be reconnecting."""
        return self.workers_back_by is not None and now < self.workers_back_by

    def may_write(self, session_id: str, now: datetime) -> bool:
        """Whether an agent may still report something in this session."""
        return self.connections.may_write(session_id, now, self.config.grace)

    def __post_init__(self) -> None:
        """Remember nobody of a conversation that is over, however it came to its end."""
        self.writer.on_ended.append(lambda session_id, room: self.connections.forget(session_id))
