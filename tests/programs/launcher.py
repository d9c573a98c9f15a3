"""Fork servers from a process that has already loaded the app: a start takes 0.2 s instead of 3.

`python -m tests.programs.launcher SOCKET` prints `ready` and listens on that socket until its
standard input closes. A client sends one line of JSON in one of two forms (forked.py and
tests/faults/servers/server.py):

* `arguments`, `environment`, with a file descriptor for the output: run the `voxql` command with
  these arguments, broken as the variable `FAULT` says. The launcher answers `pid PID` and, at the
  end, `ended STATUS`.
* `folder`, `port`, `fault`, `environment`, `log`: the client then controls a server with the lines
  `start`, `kill` and `term`. The launcher answers `open PID` once the server accepts requests, and
  `ended STATUS`. Each start forks a new process, which keeps no state from the one before.

Forked processes end when the connection closes.

`python -m tests.programs.launcher` controls one server over standard input and output, with the
lines of the second form, so that it can be run under another program, such as strace.
"""

import asyncio
import ctypes
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

import uvicorn

import cli
import serving.process.run  # noqa: F401 - loaded here so that forked processes need not load it
from asgi import build_app
from models.database import migrate
from models.engines import engine_of
from serving.process.address import listening_socket, local_address
from serving.process.logs import log_to_stderr
from serving.process.server import WebServer, configured
from settings import load
from tests.faults.servers import broken
from tests.programs.forked import FAULT

_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    if len(sys.argv) > 1:
        _listen(sys.argv[1])
    else:
        _drive(sys.stdin, sys.stdout, json.loads(sys.stdin.readline()))


def _listen(path: str) -> None:
    """Fork a process for each connection, which drives a server for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody reads their exit status
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            # Standard input closes when the process that started the launcher ends.
            readable, _, _ = select.select([listener.fileno(), sys.stdin.fileno()], [], [])
            if sys.stdin.fileno() in readable:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _end_with_parent()
                listener.close()
                with connection:
                    _serve_client(connection)
                os._exit(0)
            connection.close()


def _serve_client(connection: socket.socket) -> None:
    # The file descriptor comes with the first byte.
    first, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
    with connection.makefile("r") as asked, connection.makefile("w") as told:
        wish = json.loads(first.decode() + asked.readline())
        if descriptors:
            _run_command(wish, descriptors[0], connection, told)
        else:
            _drive(asked, told, wish)


def _run_command(
    wish: dict[str, Any], output: int, connection: socket.socket, told: TextIO
) -> None:
    """Fork a process that runs `voxql`; wait until it ends or the client disconnects."""
    child = os.fork()
    if child == 0:
        _command(wish["arguments"], wish["environment"], output)
    os.close(output)
    print("pid", child, file=told, flush=True)
    ended = os.pidfd_open(child)
    readable, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in readable:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with suppress(BrokenPipeError):
        print("ended", os.waitstatus_to_exitcode(status), file=told, flush=True)


def _command(arguments: list[str], environment: dict[str, str], output: int) -> NoReturn:
    status = 1
    try:
        _end_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(environment)
        if (fault := environment.get(FAULT, broken.SOUND)) != broken.SOUND:
            broken.apply(fault, load())
        sys.argv = ["voxql", *arguments]
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _drive(asked: TextIO, told: TextIO, wish: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(wish["environment"])
    log = os.open(wish["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 2)
    child: int | None = None
    for line in asked:
        match line.strip():
            case "start":
                child = os.fork()
                if child == 0:
                    _serve(Path(wish["folder"]), wish["port"], wish["fault"], told.fileno())
            case "kill" | "term" as word if child is not None:
                os.kill(child, signal.SIGKILL if word == "kill" else signal.SIGTERM)
                _, status = os.waitpid(child, 0)
                child = None
                print("ended", os.waitstatus_to_exitcode(status), file=told, flush=True)
    if child is not None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _end_with_parent() -> None:
    # A stopped test must leave no server behind.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(folder: Path, port: int, fault: str, told: int) -> NoReturn:
    status = 1
    try:
        _end_with_parent()
        # The server's output must not be mistaken for an answer.
        told = os.dup(told)
        os.dup2(2, 1)
        log_to_stderr("info")
        factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_run(folder, port, fault, told))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


async def _run(folder: Path, port: int, fault: str, told: int) -> None:
    settings = load(data_dir=folder, port=port, agent="external")
    settings = broken.apply(fault, settings)
    database = engine_of(settings.database_url)
    async with database.sole_process():
        with listening_socket(settings.host, port) as sock:
            settings = settings.bound_to(local_address(sock)[1])
            await migrate(settings.database_url)
            app = build_app(settings)
            server = WebServer(configured(app), [app.state.on_shutdown])
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            opened = asyncio.create_task(server.opened.wait())
            await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
            if opened.done():
                os.write(told, f"open {os.getpid()}\n".encode())
            opened.cancel()
            await serving


if __name__ == "__main__":
    main()
