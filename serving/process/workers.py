"""Several server processes on one port, for `voxql serve --workers`.

The parent opens the socket and its children accept on it: a connection that comes while a child
stops waits for another child. The parent itself serves nothing and holds no database.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog

from models.engines import engine_of
from serving.process.address import listening_socket, local_address
from serving.process.child import Child, end_with_parent
from serving.process.run import COMMAND, database_lock, run_loop, serve_on
from serving.process.steps import Steps
from serving.refusal import CannotServe
from settings import Settings

log = structlog.get_logger(__name__)

STOPS_WITHIN_S: Final = 40.0
"""Seconds for a worker to stop: its hooks, its connections, and its last commits."""
OPENS_WITHIN_S: Final = 60.0
"""Seconds for a worker to answer requests, if other processes migrate the database meanwhile."""


class _Worker(Child):
    """One server process on the parent's socket."""

    def __init__(self, number: int, sock: socket.socket, host: str) -> None:
        command = [sys.executable, str(COMMAND), "serve"]
        super().__init__(f"worker {number}", command, {"VOXQL_HOST": host})
        self._sock = sock
        self.opened = asyncio.Event()
        """Set while it answers requests."""
        self._has_served = False

    async def _spawned(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> Process:
        self.opened.clear()
        said, says = os.pipe()
        try:
            inherited = (self._sock.fileno(), says)
            line = [*command, "--inherited", ",".join(map(str, inherited))]
            process = await super()._spawned(line, inherited)
        finally:
            os.close(says)
        asyncio.get_running_loop().add_reader(said, self._heard, said)
        return process

    def _gives_up(self, status: int) -> bool:
        # A fault at the first start is permanent; a later one, such as a lost database, may pass.
        return not self._has_served

    def _heard(self, said: int) -> None:
        asyncio.get_running_loop().remove_reader(said)
        # Without a byte, the process has ended before it answered requests.
        if os.read(said, 1):
            self.opened.set()
            self._has_served = True
        os.close(said)


def supervise(settings: Settings, count: int, steps: Steps) -> None:
    """Run this many workers until SIGINT or SIGTERM; SIGHUP restarts one after the other.

    Raises:
        CannotServe: when the settings are for one process, the port can't be used, or the workers
            can't run.
    """
    if not settings.redis_url:
        raise CannotServe(
            "Several workers share events through Redis and data through PostgreSQL: set "
            "VOXQL_REDIS_URL and VOXQL_DATABASE_URL, or leave out --workers."
        )
    run_loop(_supervised(settings, count, steps))


async def _supervised(settings: Settings, count: int, steps: Steps) -> None:
    stopping, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    with listening_socket(settings.host, settings.port) as sock:
        settings = settings.bound_to(local_address(sock)[1])
        steps.done("port", f"{settings.host}, port {settings.port}")
        workers = [_Worker(number, sock, settings.host) for number in range(1, count + 1)]
        try:
            for worker in workers:
                await worker.start()
            await _until(stopping, _all_open(workers))
            if not stopping.is_set():
                steps.done("workers", f"{count} processes")
                steps.done("open", f"{settings.public_url}/ (GraphQL: /graphql)", since=steps.began)
            while not stopping.is_set():
                await _until(stopping, again.wait())
                if again.is_set():
                    again.clear()
                    await _until(stopping, _restart(workers))
        finally:
            print("  stopping  (all workers)", flush=True)
            await asyncio.gather(*(worker.stop(STOPS_WITHIN_S) for worker in workers))


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, object]) -> None:
    """Do this work, unless this process has to stop before it is done."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    [outcome, _] = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _all_open(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        await _open(worker)


async def _open(worker: _Worker) -> None:
    """Wait until a worker answers requests.

    Raises:
        CannotServe: when it can't.
    """
    until = time.monotonic() + OPENS_WITHIN_S
    while not worker.opened.is_set():
        if worker.has_given_up or time.monotonic() > until:
            raise CannotServe(f"The {worker.name} could not start; its own message says why.")
        try:
            async with asyncio.timeout(0.1):
                await worker.opened.wait()
        except TimeoutError:
            continue


async def _restart(workers: Sequence[_Worker]) -> None:
    """Restart one worker after the other, so that most of them serve at any time.

    If one can't start again, the others go on as they are, and it is tried again.
    """
    for worker in workers:
        await worker.stop(STOPS_WITHIN_S)
        await worker.start()
        try:
            await _open(worker)
        except CannotServe:
            log.error("worker_not_restarted", worker=worker.name)
            return
        log.info("worker_restarted", worker=worker.name)


def serve_as_worker(settings: Settings, inherited: str) -> None:
    """Serve as a child of `supervise`.

    Args:
        settings: The settings.
        inherited: The descriptors of the socket and of the pipe to the parent.

    Raises:
        CannotServe: when the server can't start, or can't stop in good order.
        CannotUse: when the database can't be used.
    """
    end_with_parent()
    listening, pipe = map(int, inherited.split(","))

    def opened() -> None:
        os.write(pipe, b".")
        os.close(pipe)

    async def serve() -> None:
        database = engine_of(settings.database_url)
        async with database_lock(database, settings) as number:
            with socket.socket(fileno=listening) as sock:
                steps = Steps(time.perf_counter(), is_silent=True)
                await serve_on(sock, database, settings, steps, number, opened)

    run_loop(serve())
