"""The real endpoints `/bridge` and `/audio`, with handlers that only record."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from agent_bridge.media.audio import AudioRelay
from agent_bridge.protocol import Ack, State, Utterance
from agent_bridge.server.endpoint import bridge_endpoint
from agent_bridge.server.handler import Binding, HelloResult, Reply, SessionGone
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import StartRequest, Workers
from hub.events import AgentCommanded, Input, Stop
from hub.local import LocalHub
from tests.accesses import LOGIN, Accesses

KEY: Final = "worker key of the tests"
SECRET: Final = "secret of the tests, long enough for SHA-256"


@dataclass
class Notes:
    """The events of one conversation, some with their time (`time.monotonic`)."""

    utterances: list[tuple[float, Utterance]] = field(default_factory=list)
    states: list[tuple[float, State]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    byes: list[str] = field(default_factory=list)
    is_ready: bool = False
    presence: list[str] = field(default_factory=list)

    def finals(self, role: str) -> list[Utterance]:
        return [said for _, said in self.utterances if said.final and said.role == role]

    def interims(self, segment: str) -> list[Utterance]:
        return [said for _, said in self.utterances if not said.final and said.segment == segment]

    def when(self, wanted: Utterance) -> float:
        return next(at for at, said in self.utterances if said is wanted)


class Notebook:
    """A bridge handler and a media handler in one."""

    def __init__(self) -> None:
        self.notes: dict[str, Notes] = {}
        self.gone: set[str] = set()
        self.accesses = Accesses()
        self._changed = asyncio.Event()

    def of(self, session: str) -> Notes:
        return self.notes.setdefault(session, Notes())

    async def until(self, condition: Callable[[], object], timeout: float = 15) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def hello(
        self, binding: Binding, connection: str, capabilities: frozenset[str]
    ) -> HelloResult:
        return HelloResult(is_current=True)

    async def ready(self, binding: Binding, connection: str) -> None:
        self.of(binding.session).is_ready = True
        self._changed.set()

    def utterance(
        self, binding: Binding, connection: str, utterance: Utterance, reply: Reply
    ) -> None:
        self.of(binding.session).utterances.append((time.monotonic(), utterance))
        reply(Ack(utterance.segment, utterance.revision))
        self._changed.set()

    def agent_state(self, binding: Binding, connection: str, state: State) -> None:
        self.of(binding.session).states.append((time.monotonic(), state))
        self._changed.set()

    async def input_ack(self, binding: Binding, key: str) -> None:
        self.of(binding.session).acknowledged.append(key)
        self._changed.set()

    async def bye(self, binding: Binding, connection: str, reason: str) -> None:
        self.of(binding.session).byes.append(reason)
        self._changed.set()

    async def disconnected(self, binding: Binding, connection: str) -> None:
        self.of(binding.session).byes.append("DISCONNECTED")
        self._changed.set()

    def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        return self.accesses.admitted(access, on_end)

    async def person_came(self, session_id: str) -> None:
        if session_id in self.gone:
            raise SessionGone
        self.of(session_id).presence.append("came")
        self._changed.set()

    async def person_left(self, session_id: str) -> None:
        self.of(session_id).presence.append("left")
        self._changed.set()


class Server:
    """Listens on a free port of the loopback interface."""

    def __init__(self, *, hello_timeout: float = 10.0) -> None:
        self.notebook = Notebook()
        self.tokens = Tokens(SECRET)
        self.hub = LocalHub()
        self.workers = Workers(self.hub)
        self.relay = AudioRelay(self.tokens, self.notebook, hello_timeout=hello_timeout)
        self.bridge = bridge_endpoint(self.notebook, self.tokens, self.hub, self.workers, KEY)
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Server"]:
        app = Starlette(
            routes=[
                WebSocketRoute("/bridge", self.bridge),
                WebSocketRoute("/audio", self.relay.endpoint),
            ]
        )
        config = uvicorn.Config(
            app, port=0, log_level="warning", lifespan="off", ws="websockets-sansio"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await self.bridge.drain()
            self.relay.shut_down()
            server.should_exit = True
            await serving

    def start_agent(self, session: str, agent_name: str = "voxql", attempt: int = 1) -> None:
        self.workers.start(
            StartRequest(
                session,
                attempt,
                agent_name,
                self.tokens.bridge(session, attempt),
                self.tokens.media(session, "agent", attempt)[0],
            )
        )

    def type(self, session: str, key: str, text: str) -> None:
        self.hub.emit(AgentCommanded(session, Input(key, text)))

    def stop(self, session: str, reason: str = "SAVED") -> None:
        self.hub.emit(AgentCommanded(session, Stop(reason)))

    def person_token(self, session: str) -> str:
        return self.tokens.media(session, "person", 1, access=LOGIN)[0]

    async def worker_came(self) -> None:
        """Wait until a worker has registered its agents."""
        async with asyncio.timeout(60):
            while not self.workers.names():  # noqa: ASYNC110 - workers signal nothing
                await asyncio.sleep(0.01)
