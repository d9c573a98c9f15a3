"""The dependencies of every use case, built once by `asgi.build_app`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from agent_bridge.media.backend import MediaConnection
from agent_bridge.server.tokens import Tokens
from hub.hub import Hub
from resolvers.accounts.rate_limits import Budgets, RateLimits
from resolvers.clock import Clock, now
from resolvers.config import Config
from resolvers.metrics import Metrics
from resolvers.sessions.connections import Connections
from resolvers.sessions.dispatch import Agents, Dispatcher
from resolvers.transcripts.commit_queue import CommitQueue
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.streams import TranscriptStreams
from resolvers.transcripts.transactions import Transactions
from resolvers.transcripts.writer import COMMIT_EVERY_S, TranscriptWriter


class Media(Protocol):
    """The person's media connections; see `agent_bridge.media.backend.MediaBackend`."""

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Create a connection that is valid for this session only, and as long as this access."""


@dataclass(slots=True, kw_only=True)
class Backend:
    """The first argument of every use case; it builds its own parts from those it is given."""

    config: Config
    hub: Hub
    agents: Agents
    media: Media
    tokens: Tokens
    limiter: RateLimits
    budgets: Budgets | None = None
    """Limits the work of each viewer; None means no limit."""
    clock: Clock = now
    pace: float = COMMIT_EVERY_S
    """See `TranscriptWriter`."""
    metrics: Metrics = field(init=False)
    connections: Connections = field(init=False)
    live: LiveTranscripts = field(init=False)
    transactions: Transactions = field(init=False)
    writer: TranscriptWriter = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    transcripts: TranscriptStreams = field(init=False)

    def __post_init__(self) -> None:
        """Build the parts of this process; the hub belongs to it too."""
        hub = self.hub
        self.metrics = Metrics()
        self.connections = Connections(hub)
        queue = CommitQueue()
        self.live = LiveTranscripts(hub, queue, self.metrics)
        self.transactions = Transactions(hub, self.clock, queue, self.live, self.metrics)
        self.writer = TranscriptWriter(
            queue, self.live, self.transactions, self.metrics, pace=self.pace
        )
        self.dispatcher = Dispatcher(
            hub=hub,
            agents=self.agents,
            tokens=self.tokens,
            connections=self.connections,
            transactions=self.transactions,
            config=self.config,
            clock=self.clock,
        )
        self.transcripts = TranscriptStreams(
            live=self.live, hub=hub, metrics=self.metrics, clock=self.clock
        )

    def may_write(self, session_id: str, now: datetime) -> bool:
        """Whether an agent may still report something in this session."""
        return self.connections.may_write(session_id, now, self.config.grace)
