"""The server process: `python -m bench.equipment.server KIND FOLDER`, until its input closes.

The kinds are `voxql`, `bare` (Starlette alone) and `watched`: VoxQL with another path, /pauses,
which tells how long its loop kept others waiting.
"""

import asyncio
import os
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.equipment.watched import Pauses
from serving.process.address import listening_socket, local_address
from serving.process.logs import log_to_stderr
from serving.process.server import Hook, WebServer, configured

# No media is connected, but nobody may count as gone during a measurement.
_PATIENT_S: Final = 3_600.0


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    log_to_stderr("warning")
    factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(kind, folder))


async def _serve(kind: str, folder: Path) -> None:
    with listening_socket("127.0.0.1", 0) as sock:
        port = local_address(sock)[1]
        await _serve_on(sock, port, kind, folder)


async def _serve_on(sock: socket.socket, port: int, kind: str, folder: Path) -> None:
    async with AsyncExitStack() as stack:
        app, hooks = _bare() if kind == "bare" else await _voxql(folder, port, stack)
        watching = _watch(app) if kind == "watched" else None
        server = WebServer(configured(app), hooks)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        opened = asyncio.create_task(server.opened.wait())
        await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
        if opened.done():
            os.write(1, f"open {port}\n".encode())
            asyncio.get_running_loop().add_reader(0, _end, server)
        opened.cancel()
        await serving
        if watching is not None:
            watching.cancel()


def _end(server: WebServer) -> None:
    """Stop the server when the measuring process is done, or gone."""
    if not os.read(0, 1):
        server.should_exit = True
        asyncio.get_running_loop().remove_reader(0)


def _watch(app: Starlette) -> asyncio.Task[None]:
    pauses = Pauses()

    async def told(_: Request) -> JSONResponse:
        return JSONResponse(pauses.told())

    # First, because the page takes every remaining path.
    app.router.routes.insert(0, Route("/pauses", told))
    return asyncio.create_task(pauses.watch())


def _bare() -> tuple[Starlette, list[Hook]]:
    from bench.equipment.bare import bare_app

    return bare_app(), []


async def _voxql(folder: Path, port: int, stack: AsyncExitStack) -> tuple[Starlette, list[Hook]]:
    from asgi import build_app
    from models.engines import engine_of
    from serving.process.run import database_lock
    from settings import load

    # No budget: this measures what a request costs, not how many of them one viewer may send.
    given = load(
        data_dir=folder,
        port=port,
        agent="external",
        abandon_s=_PATIENT_S,
        points_per_minute=0,
    )
    locked = database_lock(engine_of(given.database_url), given)
    app = build_app(given, number=await stack.enter_async_context(locked))
    return app, [app.state.on_shutdown]


if __name__ == "__main__":
    main()
