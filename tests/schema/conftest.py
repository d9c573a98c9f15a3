"""The whole app, in this process, with a database of its own and agents that come on demand."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from asgi import build_app
from resolvers.backend import Backend
from settings import Settings
from tests.resolvers.people import give_agents
from tests.rows import migrated
from tests.schema.clients import Http, Socket
from tests.schema.fakes import Agent, WillingAgents
from tests.schema.operations import start


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port that can be connected to already; whoever does waits until something serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
async def app(tmp_path: Path, listening: socket.socket) -> AsyncIterator[Starlette]:
    port = listening.getsockname()[1]
    settings = Settings(
        data_dir=tmp_path, agent="external", public_url=f"http://127.0.0.1:{port}", port=port
    )
    await migrated(tmp_path)
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
    """Somebody who is not signed in."""
    async with Http(app, _url(listening)) as client:
        yield client


@pytest.fixture
async def guest(app: Starlette, listening: socket.socket) -> AsyncIterator[Http]:
    """Somebody who has signed in as a guest, and keeps the cookie."""
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
async def url(app: Starlette, listening: socket.socket) -> AsyncIterator[str]:
    """Where a real uvicorn serves the app."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([listening]))
    yield _url(listening)
    await app.state.on_shutdown()
    server.should_exit = True
    await serving


@pytest.fixture
async def ws(url: str, guest: Http) -> AsyncIterator[Socket]:
    """A guest's connection, acknowledged."""
    async with Socket(url, cookie=guest.cookie) as ws:
        await ws.init()
        yield ws


@pytest.fixture
async def spoken(guest: Http, backend: Backend) -> tuple[str, Agent]:
    """A chat in which a person and an agent have said something each."""
    session_id = (await start(guest, title="About tea"))["session"]["id"]
    agent = Agent(backend, session_id)
    await agent.come()
    await agent.say("Is there any green tea?", segment="SG_1")
    await agent.say("Yes, there is.", segment="SG_2", role="AGENT")
    return session_id, agent


def _url(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"
