"""The parts that the use cases take, built once by `asgi.build_app`.

Each use case takes only those that it uses; `asgi`, `schema` and `serving` hold all of them.
"""

from dataclasses import dataclass, field

from agent_bridge.server.tokens import Tokens
from hub.hub import Hub
from hub.shared import SharedHub
from resolvers.accounts.authentication import Authentication
from resolvers.accounts.rate_limits import Budgets, RateLimits
from resolvers.clock import Clock, now
from resolvers.config import Config
from resolvers.lost_events import LostEvents
from resolvers.members import Members
from resolvers.metrics import Metrics
from resolvers.sessions.agent_events import AgentEvents
from resolvers.sessions.connections import Connections
from resolvers.sessions.dispatch import Agents, Dispatcher
from resolvers.sessions.joining import Media
from resolvers.sessions.media_events import MediaEvents
from resolvers.sessions.reaper import Reaper
from resolvers.sessions.saving import Saving
from resolvers.sessions.starting import Chats
from resolvers.transcripts.commit_queue import CommitQueue
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.streams import TranscriptStreams
from resolvers.transcripts.transactions import Transactions
from resolvers.transcripts.writer import COMMIT_EVERY_S, TranscriptWriter


@dataclass(slots=True, kw_only=True)
class Backend:
    """All parts of this process. It is given some, and builds the rest from them."""

    config: Config
    hub: Hub
    agents: Agents
    media: Media
    tokens: Tokens
    limiter: RateLimits
    members: Members = field(default_factory=Members)
    """The processes that use the database."""
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
    reaper: Reaper = field(init=False)
    authentication: Authentication = field(init=False)
    saving: Saving = field(init=False)
    chats: Chats = field(init=False)
    transcripts: TranscriptStreams = field(init=False)
    agent_events: AgentEvents = field(init=False)
    media_events: MediaEvents = field(init=False)
    lost_events: LostEvents | None = field(init=False, default=None)
    """Finds lost events; None if none can be lost."""

    def __post_init__(self) -> None:
        """Build the parts of this process; the hub belongs to it too."""
        hub = self.hub
        self.metrics = Metrics()
        self.connections = Connections(hub, self.members)
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
        self.reaper = Reaper(
            transactions=self.transactions,
            hub=hub,
            connections=self.connections,
            members=self.members,
            dispatcher=self.dispatcher,
            agents=self.agents,
            metrics=self.metrics,
            config=self.config,
        )
        if isinstance(hub, SharedHub):
            self.lost_events = LostEvents(
                hub=hub,
                live=self.live,
                connections=self.connections,
                transactions=self.transactions,
                config=self.config,
                metrics=self.metrics,
            )
        self._build_use_cases()

    def _build_use_cases(self) -> None:
        """Build the use cases that share their parts; they have no state of their own."""
        self.authentication = Authentication(
            transactions=self.transactions, tokens=self.tokens, limiter=self.limiter
        )
        self.saving = Saving(
            transactions=self.transactions, connections=self.connections, config=self.config
        )
        self.chats = Chats(
            transactions=self.transactions,
            connections=self.connections,
            dispatcher=self.dispatcher,
            agents=self.agents,
            media=self.media,
            saving=self.saving,
            config=self.config,
        )
        self.transcripts = TranscriptStreams(
            live=self.live, hub=self.hub, metrics=self.metrics, clock=self.clock
        )
        self.agent_events = AgentEvents(
            transactions=self.transactions,
            writer=self.writer,
            live=self.live,
            connections=self.connections,
            members=self.members,
            config=self.config,
        )
        self.media_events = MediaEvents(
            transactions=self.transactions,
            hub=self.hub,
            connections=self.connections,
            dispatcher=self.dispatcher,
            config=self.config,
        )
