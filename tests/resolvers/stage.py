"""A conversation without sockets: real use cases, a real database, and its participants."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from agent_bridge.protocol import Ack, Nack
from agent_bridge.protocol import Utterance as Heard
from agent_bridge.server.handler import Binding, HelloResult
from agent_bridge.server.workers import NoWorker, StartRequest
from hub.events import AgentCommanded, agent_topic
from hub.subscription import HubSubscription
from models.database import NotStored, reader
from models.tables import Role, Session, User, Utterance
from resolvers.backend import Backend
from resolvers.config import Config
from resolvers.sessions import sending, updates
from resolvers.sessions.agent_events import AgentEvents
from resolvers.sessions.saving import Message
from resolvers.transcripts import streams
from resolvers.viewer import Viewer
from tests.resolvers.people import Clock, viewer_for
from tests.rows import START, add_user

E = TypeVar("E")
WITHIN_S = 10.0


@dataclass
class Agents:
    """Workers that accept every request, or refuse it with the exception in `refusal`."""

    asked: list[StartRequest] = field(default_factory=list)
    known: set[str] = field(default_factory=lambda: {"voxql", "other"})
    places: int = 100
    refusal: Exception | None = None

    def knows(self, agent_name: str) -> bool:
        return agent_name in self.known

    def free(self, agent_name: str) -> int:
        return self.places if agent_name in self.known else 0

    async def start(self, request: StartRequest) -> None:
        if self.refusal is not None:
            raise self.refusal
        if request.agent_name not in self.known:
            raise NoWorker("There is no such agent in this test.")
        self.asked.append(request)


class Talker:
    """One agent connection: the calls that the bridge's endpoint would make for it."""

    def __init__(
        self, backend: Backend, events: AgentEvents, session_id: str, attempt: int, connection: str
    ) -> None:
        self._events = events
        self._clock = backend.clock
        self.binding = Binding(session_id, attempt)
        self.connection = connection
        self._revisions: dict[str, int] = {}

    async def hello(self) -> HelloResult:
        return await self._events.hello(self.binding, self.connection, frozenset())

    async def ready(self) -> None:
        await self._events.ready(self.binding, self.connection)

    async def come(self) -> HelloResult:
        welcome = await self.hello()
        await self.ready()
        return welcome

    def state(self, state: Any) -> None:
        self._events.agent_state(self.binding, self.connection, state)

    async def ack_input(self, key: str) -> None:
        await self._events.input_ack(self.binding, key)

    async def bye(self, reason: str = "LEFT") -> None:
        await self._events.bye(self.binding, self.connection, reason)

    async def lose(self) -> None:
        await self._events.disconnected(self.binding, self.connection)

    def heard(
        self,
        text: str,
        segment: str = "SG_1",
        *,
        final: bool = False,
        revision: int | None = None,
        role: str = "USER",
        began: float = 0.0,
        **more: Any,
    ) -> Heard:
        """Make an utterance, with its segment's next revision unless one is given.

        `began` is its start in seconds from now, by the agent's clock.
        """
        if revision is None:
            revision = self._revisions.get(segment, 0) + 1
        self._revisions[segment] = revision
        return Heard(
            segment=segment,
            revision=revision,
            role=role,  # type: ignore[arg-type] # a test may say anything
            text=text,
            final=final,
            started_at=self._clock() + timedelta(seconds=began),
            **more,
        )

    def report(self, text: str, segment: str = "SG_1", **more: Any) -> "asyncio.Future[Ack | Nack]":
        """Report an utterance; the future gets the answer."""
        answer: asyncio.Future[Ack | Nack] = asyncio.get_running_loop().create_future()
        heard = self.heard(text, segment, **more)
        self._events.utterance(self.binding, self.connection, heard, answer.set_result)
        return answer

    async def say(self, text: str, segment: str = "SG_1", **more: Any) -> Ack | Nack:
        """Report an utterance, by default a final, and wait for the answer."""
        more.setdefault("final", True)
        async with asyncio.timeout(WITHIN_S):
            return await self.report(text, segment, **more)


class Watcher(Generic[E]):
    """A subscriber that reads one event at a time; a missing event fails the test."""

    def __init__(self, stream: AsyncGenerator[E, None]) -> None:
        self._stream = stream

    async def next(self) -> E:
        async with asyncio.timeout(WITHIN_S):
            return await anext(self._stream)

    async def rest(self) -> list[E]:
        """Read to the end of the stream."""
        async with asyncio.timeout(WITHIN_S):
            return [event async for event in self._stream]

    async def close(self) -> None:
        await self._stream.aclose()


class Reading(Watcher[streams.TranscriptEvent]):
    """A transcript subscriber that keeps the highest revision of each utterance."""

    def __init__(self, stream: AsyncGenerator[streams.TranscriptEvent, None]) -> None:
        super().__init__(stream)
        self.held: dict[str, Any] = {}
        self.cursor: str | None = None

    async def next(self) -> streams.TranscriptEvent:
        event = await super().next()
        self._take(event)
        return event

    async def rest(self) -> list[streams.TranscriptEvent]:
        events = await super().rest()
        for event in events:
            self._take(event)
        return events

    async def caught_up(self) -> list[streams.TranscriptEvent]:
        """Read up to and including the caught-up marker."""
        events = [await self.next()]
        while not events[-1].is_caught_up:
            events.append(await self.next())
        return events

    def _take(self, event: streams.TranscriptEvent) -> None:
        self.cursor = event.cursor
        for state in event.utterances:
            held = self.held.get(state.id)
            if held is None or state.revision > held.revision:
                self.held[state.id] = state

    @property
    def texts(self) -> list[str]:
        ordered = sorted(self.held.values(), key=lambda state: state.sort_key)
        return [state.text for state in ordered]


@dataclass
class Stage:
    """Everything that a test of a conversation needs."""

    backend: Backend
    clock: Clock
    agents: Agents
    viewer: Viewer
    user: User

    def __post_init__(self) -> None:
        self.events = self.backend.agent_events
        self.media = self.backend.media_events
        self.reaper = self.backend.reaper

    async def somebody_else(self) -> Viewer:
        return await viewer_for(self.backend, await add_user())

    async def start(self, **wish: Any) -> Session:
        return (await self.backend.chats.start_new_chat(self.viewer, **wish)).session

    def talker(self, session: Session, attempt: int = 1, connection: str = "con-1") -> Talker:
        return Talker(self.backend, self.events, session.id, attempt, connection)

    async def talk(self, *, with_person: bool = True) -> tuple[Session, Talker]:
        """Start a conversation with a connected agent and, by default, the user's media."""
        session = await self.start()
        if with_person:
            await self.media.person_came(session.id)
        agent = self.talker(session)
        await agent.come()
        return await self.read(session), agent

    async def type(self, session: Session, text: str, key: str | None = None) -> Utterance:
        return await sending.send_message(
            self.backend.transactions,
            self.backend.config,
            self.viewer,
            session.id,
            key or text,
            text,
        )

    async def pass_by(self, seconds: float) -> None:
        """Let time pass and run the reaper."""
        self.clock.pass_by(seconds=seconds)
        await self.reaper.look()
        await self.reaper.asked()

    async def read(self, session: Session) -> Session:
        return await Session.filter(id=session.id).using_db(reader()).get()

    async def rows(self, session: Session) -> list[Utterance]:
        rows = Utterance.filter(session_id=session.id).using_db(reader())
        return await rows.order_by("sort_key")

    async def texts(self, session: Session) -> list[str]:
        return [row.text for row in await self.rows(session)]

    async def watch(self, session: Session, after: str | None = None) -> Reading:
        stream = await self.backend.transcripts.open_transcripts(self.viewer, session.id, after)
        return Reading(stream.events())

    async def watch_sessions(self, session: Session | None = None) -> Watcher[Any]:
        session_id = None if session is None else session.id
        stream = await updates.open_session_updates(
            self.backend.hub, self.backend.metrics, self.backend.clock, self.viewer, session_id
        )
        return Watcher(stream.events())

    @asynccontextmanager
    async def commands(self, session: Session) -> AsyncIterator[HubSubscription]:
        """Subscribe to the commands for the session's agent."""
        with self.backend.hub.subscribe(agent_topic(session.id)) as subscription:
            yield subscription


async def not_stored(*given: object, **options: object) -> None:
    """Fail like a transaction on a full disk."""
    raise NotStored("full")


def taken(subscription: HubSubscription) -> list[object]:
    """Return what has been published so far."""
    events = []
    while (event := subscription.take()) is not None:
        events.append(event.command if isinstance(event, AgentCommanded) else event)
    return events


def rebuild(backend: Backend, **parts: Any) -> None:
    """Rebuild the backend from these parts; its memory is lost, as in a new process."""
    for name, part in parts.items():
        setattr(backend, name, part)
    backend.hub._actions.clear()
    backend.__post_init__()


def message(key: str, text: str | None = None, **more: Any) -> Message:
    """Make a message as a client reports it."""
    given = {"role": Role.USER, "timestamp": START, **more}
    return Message(key=key, text=key if text is None else text, **given)


@asynccontextmanager
async def staged(
    backend: Backend, clock: Clock, *, is_running: bool = True, **config: Any
) -> AsyncIterator[Stage]:
    """Run the transcript writer over an open database, with one user signed in.

    With `is_running=False`, it commits agents' utterances only when a test says so.
    """
    agents = Agents()
    rebuild(backend, config=Config(**config), agents=agents)
    user = await add_user()
    viewer = await viewer_for(backend, user)
    running = asyncio.create_task(backend.writer.run() if is_running else asyncio.Event().wait())
    try:
        yield Stage(backend, clock, agents, viewer, user)
        assert not running.done(), f"the writer has stopped: {running!r}"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await backend.writer.drain()
