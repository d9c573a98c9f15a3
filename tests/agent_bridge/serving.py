"""A real server with the real endpoint and a handler that records its calls."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from agent_bridge.protocol import Ack, Nack, Refused, State, Utterance
from agent_bridge.server.endpoint import BridgeEndpoint, bridge_endpoint
from agent_bridge.server.handler import Binding, HelloResult, Reply, SessionGone
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import ConnectedWorker, Workers
from hub import events
from hub.events import AgentCommanded, Command
from hub.local import LocalHub
from serving.process.server import configured
from tests.serving.sockets import KINDS

KEY = "the-worker-key"
SESSION = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"
SECRET = b"only for tests, at least 32 bytes"

kind_of_sockets = "direct"
"""The kind of WebSocket that the server has: a key of `KINDS`."""


@dataclass
class Recorder:
    """A handler that acknowledges everything, unless a test says otherwise."""

    events: list[tuple[object, ...]] = field(default_factory=list)
    utterances: list[Utterance] = field(default_factory=list)
    found: HelloResult = HelloResult(is_current=True)  # noqa: RUF009 - immutable
    gone: set[str] = field(default_factory=set)
    answer: Callable[[Utterance], Ack | Nack | None] = field(
        default=lambda utterance: Ack(utterance.segment, utterance.revision)
    )
    """If it returns None, the reply is kept in `held`."""
    held: list[tuple[Utterance, Reply]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> HelloResult:
        if binding.session in self.gone:
            raise SessionGone
        self._note("hello", binding.attempt, capabilities)
        return self.found

    async def ready(self, binding: Binding, connection: str) -> None:
        self._note("ready", binding.attempt)

    def utterance(
        self, binding: Binding, connection: str, utterance: Utterance, reply: Reply
    ) -> None:
        self.utterances.append(utterance)
        self._note("utterance", utterance.segment, utterance.revision)
        if answer := self.answer(utterance):
            reply(answer)
        else:
            self.held.append((utterance, reply))

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        self._note("state", state)

    async def input_ack(self, binding: Binding, key: str) -> None:
        self._note("inputAck", key)

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        self._note("bye", reason)

    async def disconnected(self, binding: Binding, connection: str) -> None:
        self._note("disconnected", binding.attempt)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until recorded events make this condition true."""
        async with self.changed, asyncio.timeout(30):
            await self.changed.wait_for(condition)

    async def saw(self, *event: object) -> None:
        """Wait until exactly this event was recorded."""
        await self.until(lambda: event in self.events)

    def _note(self, *event: object) -> None:
        self.events.append(event)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class WatchedWorkers(Workers):
    """A registry whose changes a test can wait for."""

    def __init__(self, hub: LocalHub, start_seconds: float) -> None:
        super().__init__(hub, start_seconds=start_seconds)
        self.heard: list[str] = []
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until changes of the workers make this condition true."""
        async with asyncio.timeout(30):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def add(self, worker: ConnectedWorker) -> None:
        super().add(worker)
        self._changed.set()

    def remove(self, worker: ConnectedWorker) -> None:
        super().remove(worker)
        self._changed.set()

    def places(self, worker: ConnectedWorker, free: int) -> None:
        super().places(worker, free)
        self.heard.append(f"places {free}")
        self._changed.set()

    def started(self, worker: ConnectedWorker, key: tuple[str, int]) -> None:
        super().started(worker, key)
        self.heard.append("started")
        self._changed.set()

    def refused(self, worker: ConnectedWorker, answer: Refused) -> None:
        super().refused(worker, answer)
        self._changed.set()


class SlowHub(LocalHub):
    """Delivers when a test says so, in one order for everybody, as a hub between processes does."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[str, object]] = []

    def publish(self, topic: str, event: object) -> None:
        self.held.append((topic, event))

    def deliver(self) -> None:
        for topic, event in self.held:
            super().publish(topic, event)
        self.held.clear()


@dataclass
class Served:
    """A running server's parts that tests use."""

    port: int
    handler: Recorder
    hub: LocalHub
    workers: WatchedWorkers
    tokens: Tokens
    endpoint: BridgeEndpoint

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, attempt: int = 1, session: str = SESSION) -> str:
        return self.tokens.bridge(session, attempt)

    def command(self, command: Command, session: str = SESSION) -> None:
        self.hub.emit(AgentCommanded(session, command))

    def type(self, key: str, text: str) -> None:
        self.command(events.Input(key, text))


@asynccontextmanager
async def serve(
    handler: Recorder | None = None,
    *,
    hub: LocalHub | None = None,
    port: int = 0,
    hello_seconds: float = 10.0,
    fence_seconds: float = 10.0,
    bye_seconds: float = 10.0,
    start_seconds: float = 60.0,
) -> AsyncIterator[Served]:
    """Run a server during the block; port 0 takes a free one."""
    handler = handler or Recorder()
    hub, tokens = hub or LocalHub(), Tokens(SECRET)
    workers = WatchedWorkers(hub, start_seconds)
    endpoint = bridge_endpoint(
        handler,
        tokens,
        hub,
        workers,
        KEY,
        hello_seconds=hello_seconds,
        fence_seconds=fence_seconds,
        bye_seconds=bye_seconds,
    )
    config = configured(Starlette(routes=[WebSocketRoute("/bridge", endpoint)]))
    config.lifespan, config.ws = "off", KINDS[kind_of_sockets]
    server = uvicorn.Server(config)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    running = asyncio.create_task(_run(server, listener))
    try:
        bound: int = listener.getsockname()[1]
        yield Served(bound, handler, hub, workers, tokens, endpoint)
    finally:
        await endpoint.drain()
        server.should_exit = True
        await running


async def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # Not `serve`, which would install signal handlers in the test run.
    with contextlib.closing(listener):
        await server._serve(sockets=[listener])
