"""Starts the real app in a fork that has loaded it already: a restart takes 0.2 s instead of 3.

`python -m tests.faults.launcher FOLDER PORT [FAULT]`, driven by lines on standard input: `start`,
`kill`, `term`. It answers `open PID` when requests are answered, and `ended STATUS`. The process
that serves is forked anew for each start, so it remembers nothing of the one before.
"""

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final, NoReturn

import uvicorn

from asgi import build_app
from models.database import migrate
from serving.address import listening_socket, local_address
from serving.logs import log_to_stderr
from serving.server import Server, configured
from serving.sole_process import sole_process
from settings import load
from tests.faults import broken

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    folder, port, fault = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    child: int | None = None
    for line in sys.stdin:
        match line.strip():
            case "start":
                child = os.fork()
                if child == 0:
                    _serve(folder, port, fault)
            case "kill" | "term" as word if child is not None:
                os.kill(child, signal.SIGKILL if word == "kill" else signal.SIGTERM)
                _, status = os.waitpid(child, 0)
                child = None
                print("ended", os.waitstatus_to_exitcode(status), flush=True)
    if child is not None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve(folder: Path, port: int, fault: str) -> NoReturn:
    status = 1
    try:
        # A test that is stopped leaves no server behind.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # Standard output belongs to the protocol with whoever started us.
        told = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        log_to_stderr("info")
        factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_run(folder, port, fault, told.fileno()))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


async def _run(folder: Path, port: int, fault: str, told: int) -> None:
    settings = load(data_dir=folder, port=port, agent="external")
    settings = broken.apply(fault, settings)
    with sole_process(settings.sqlite_file), listening_socket(settings.host, port) as sock:
        settings = settings.bound_to(local_address(sock)[1])
        await migrate(settings.database_url)
        app = build_app(settings)
        server = Server(configured(app), [app.state.on_shutdown])
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        opened = asyncio.create_task(server.opened.wait())
        await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
        if opened.done():
            os.write(told, f"open {os.getpid()}\n".encode())
        opened.cancel()
        await serving


if __name__ == "__main__":
    main()
