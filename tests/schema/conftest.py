"""The whole app in this process, with a database for each test and agents that start on demand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from asgi import build_app
from resolvers.backend import Backend
from schema.operations import limits
from serving.process.server import Socket as DirectSocket
from serving.process.server import configured
from settings import Settings
from tests.resolvers.people import give_agents
from tests.rows import migrated
from tests.schema.clients import Http, Socket
from tests.schema.every_field import start
from tests.schema.fakes import Agent, WillingAgents


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening port; connections wait until something serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
async def app(
    tmp_path: Path, listening: socket.socket, database_kind: str
) -> AsyncIterator[Starlette]:
    port = listening.getsockname()[1]
    settings = Settings(
        data_dir=tmp_path,
        database_url=await migrated(tmp_path),
        agent="external",
        public_url=f"http://127.0.0.1:{port}",
        port=port,
    )
    app = build_app(settings)
    give_agents(app.state.backend, WillingAgents())
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def backend(app: Starlette) -> Backend:
    backend: Backend = app.state.backend
    return backend


@pytest.fixture
async def client(app: Starlette, listening: socket.socket) -> AsyncIterator[Http]:
    """A client that is not signed in."""
    async with Http(app, _url(listening)) as client:
        yield client


@pytest.fixture
async def guest(app: Starlette, listening: socket.socket) -> AsyncIterator[Http]:
    """A client signed in as a guest, with the cookie."""
    async with Http(app, _url(listening)) as guest:
        await guest.data("mutation { signInAsGuest { viewer { id } } }")
        yield guest


@pytest.fixture
async def stranger(app: Starlette, listening: socket.socket) -> AsyncIterator[Http]:
    """Another guest."""
    async with Http(app, _url(listening)) as stranger:
        await stranger.data("mutation { signInAsGuest { viewer { id } } }")
        yield stranger


@pytest.fixture
def sockets() -> type[asyncio.Protocol]:
    """The class of the server's WebSockets."""
    return DirectSocket


@pytest.fixture
async def url(
    app: Starlette, listening: socket.socket, sockets: type[asyncio.Protocol]
) -> AsyncIterator[str]:
    """The URL of the app on a real uvicorn."""
    config = configured(app)
    config.lifespan, config.ws, config.ws_max_size = "off", sockets, 16 * limits.MAX_FRAME
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    yield _url(listening)
    await app.state.on_shutdown()
    server.should_exit = True
    await serving


@pytest.fixture
async def ws(url: str, guest: Http) -> AsyncIterator[Socket]:
    """A guest's acknowledged connection."""
    async with Socket(url, cookie=guest.cookie) as ws:
        await ws.init()
        yield ws


@pytest.fixture
async def spoken(guest: Http, backend: Backend) -> tuple[str, Agent]:
    """A chat with one utterance each from a person and an agent."""
    session_id = (await start(guest, title="About tea"))["session"]["id"]
    agent = Agent(backend, session_id)
    await agent.come()
    await agent.say("Is there any green tea?", segment="SG_1")
    await agent.say("Yes, there is.", segment="SG_2", role="AGENT")
    return session_id, agent


def _url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"
