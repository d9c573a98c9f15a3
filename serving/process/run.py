"""Starts and stops the server for `voxql serve`."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn

from models.engine import Engine
from models.engines import engine_of
from serving.process.address import listening_socket, local_address
from serving.process.child import Child
from serving.process.server import WebServer, configured
from serving.process.steps import Steps
from serving.refusal import CannotServe
from settings import Settings

COMMAND: Final = Path(__file__).resolve().parents[2] / "cli.py"

Address = tuple[str, int]


def run(settings: Settings, steps: Steps) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        CannotServe: when the port can't be used.
        CannotUse: when the database can't be used.
    """
    run_loop(_serve(settings, steps))


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run this on the event loop that the server uses."""
    factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


async def _serve(settings: Settings, steps: Steps) -> None:
    database = engine_of(settings.database_url)
    database.check_files()
    database.check_room()
    async with database_lock(database, settings) as number:
        with listening_socket(settings.host, settings.port) as sock:
            await serve_on(sock, database, settings, steps, number)


@contextlib.asynccontextmanager
async def database_lock(database: Engine, settings: Settings) -> AsyncIterator[int | None]:
    """Hold this process's lock of the database; yield its number among several.

    Raises:
        CannotUse: when another server excludes this one.
    """
    if not settings.redis_url:
        async with database.sole_process():
            yield None
        return
    # Imported here, so that a sole process does not pay for it.
    from resolvers.members import new_number

    number = new_number()
    async with database.one_of_several(number):
        yield number


async def serve_on(
    sock: socket.socket,
    database: Engine,
    settings: Settings,
    steps: Steps,
    number: int | None,
    opened: Callable[[], None] | None = None,
) -> None:
    """Serve on this socket until SIGINT or SIGTERM.

    Args:
        sock: A listening socket.
        database: The database.
        settings: The settings.
        steps: Shows the progress.
        number: The number of this process among several.
        opened: For one of several processes on this socket; called once requests are answered.

    Raises:
        CannotServe: when the server can't start, or can't stop in good order.
        CannotUse: when the database can't be used.
    """
    address = local_address(sock)
    settings = settings.bound_to(address[1])
    steps.done("port", f"{settings.host}, port {settings.port}")
    async with _agent(settings, address, steps) as child:
        # The check waits for the disk, so it runs while the processor loads the app.
        loop = asyncio.get_running_loop()
        checking = loop.run_in_executor(None, database.check_data)
        from asgi import build_app  # imported here: loading the app is a timed step

        steps.done("app", "loaded")
        is_checked = await checking
        await _migrate(settings, steps, is_checked=is_checked)
        app = build_app(settings, number=number)
        # The agent stops first: while the bridge is open, it can still send its last words.
        hooks = [app.state.on_stop, child.stop if child else None, app.state.on_shutdown]
        # A client that reconnects must reach one of the others.
        is_one_of_several = number is not None
        server = WebServer(configured(app, settings.proxies), hooks, leaves_first=is_one_of_several)
        watch = asyncio.create_task(_announce(server, settings, address, steps, opened))
        try:
            await server.serve(sockets=[sock])
        finally:
            watch.cancel()
        if server.lifespan.should_exit:
            how = "stop in good order" if server.started else "start"
            raise CannotServe(f"The server could not {how}; the log says why.")


async def _migrate(settings: Settings, steps: Steps, *, is_checked: bool) -> None:
    from models.database import OperationalError, migrate

    try:
        applied = await migrate(settings.database_url)
    except RuntimeError as error:
        raise CannotServe(str(error)) from error
    except OperationalError as error:
        raise CannotServe(f"The database can't be brought up to date: {error}.") from error
    what = f"{len(applied)} migration(s) applied" if applied else "up to date"
    steps.done("database", what if is_checked else f"{what}; too large to be checked in whole")


@contextlib.asynccontextmanager
async def _agent(settings: Settings, address: Address, steps: Steps) -> AsyncIterator[Child | None]:
    """Start the shipped agent before the rest, so that its models load meanwhile."""
    if settings.agent != "local":
        yield None
        return
    command = [sys.executable, str(COMMAND), "agent", "--url", _url(address), "--end-with-parent"]
    child = Child("the agent", command, {"VOXQL_WORKER_KEY": settings.worker_secret()})
    try:
        await child.start()
        steps.done("agent", f"starting (process {child.pid})")
        yield child
    finally:
        await child.stop()


def _url(address: Address) -> str:
    host, port = address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _announce(
    server: WebServer,
    settings: Settings,
    address: Address,
    steps: Steps,
    opened: Callable[[], None] | None,
) -> None:
    """Tell when the server is open, and when conversations can begin."""
    await server.opened.wait()
    if opened is not None:
        opened()
    steps.done("open", f"{settings.public_url}/ (GraphQL: /graphql)", since=steps.began)
    if settings.agent == "none":
        return
    if settings.agent == "local":
        steps.say("answers", settings.mind())
    if settings.agent == "external":
        key = "VOXQL_WORKER_KEY" if settings.worker_key else f"in {settings.data_dir}/worker.key"
        steps.say("agent", f"waiting for a worker; its key: {key}")
    if settings.agent == "livekit":
        steps.say("livekit", f"{settings.livekit_url}, agent {settings.agent_name}")
    pause = 0.1
    while not await _is_ready(address, urlsplit(settings.public_url).netloc):
        await asyncio.sleep(pause)
        pause = min(1.1 * pause, 2.0)
    steps.done("agent", "ready: conversations can begin", since=steps.began)


async def _is_ready(address: Address, host: str) -> bool:
    """Ask /readyz, as a load balancer would."""
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return False
    try:
        request = f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
