"""Runs a child process, which is restarted when it dies and never outlives its parent."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

CANNOT_RUN: Final = 78
"""The exit status (EX_CONFIG) of a child that would fail the same way if restarted."""

_PR_SET_PDEATHSIG: Final = 1

logger = logging.getLogger(__name__)


class Child:
    """Keeps one process running until told to stop. It logs to this process's log.

    Args:
        name: What it is, for the log.
        command: The program and its arguments.
        environment: Variables added to this process's environment. Secrets go here, because every
            user of the machine can read arguments.
        first_delay: Seconds before the first restart; doubled with each death.
        longest_delay: Maximum of this delay in seconds.
        settled_after: Seconds of running after which a death resets the delay.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        first_delay: float = 0.5,
        longest_delay: float = 30.0,
        settled_after: float = 60.0,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._environment = {**os.environ, **environment}
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._settled_after = settled_after
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.starts = 0
        """How many times it was started."""

    @property
    def has_given_up(self) -> bool:
        """Whether it can't run here, and is not started again."""
        return self._keeper is not None and self._keeper.done()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> None:
        """Start the process and keep it running."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep_running(), name=self.name)

    async def stop(self, patience: float = 10.0) -> None:
        """Send SIGTERM; after `patience` seconds, or when cancelled, kill the process."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
                async with asyncio.timeout(patience):
                    await process.wait()
        except TimeoutError:
            logger.warning("%s did not end within %g s and was killed", self.name, patience)
        finally:
            _kill_group(process)
        await process.wait()

    def _gives_up(self, status: int) -> bool:
        """Whether a process that ended with this status is not started again."""
        return status == CANNOT_RUN

    async def _spawn(self) -> None:
        self._process = await self._spawned(self._command)
        self.starts += 1

    async def _spawned(self, command: Sequence[str], pass_fds: Sequence[int] = ()) -> Process:
        # In its own session, Ctrl-C in the terminal reaches only the parent, which then stops the
        # child cleanly. Nothing is written to the pipe; it closes when the parent ends.
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            env=self._environment,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    async def _keep_running(self) -> None:
        delay = self._first_delay
        while self._process is not None:
            started = time.monotonic()
            status = await self._process.wait()
            _kill_group(self._process)
            if self._gives_up(status):
                logger.error("%s can't run here; its own message says why", self.name)
                return
            if time.monotonic() - started >= self._settled_after:
                delay = self._first_delay
            logger.warning("%s %s; starting it again in %g s", self.name, _ending(status), delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._longest_delay)
            try:
                await self._spawn()
            except OSError:
                # Its former process is found ended, and it is tried again.
                logger.exception("%s could not be started", self.name)


def end_with_parent() -> None:
    """Make this process end when its parent does, even if that is killed by SIGKILL.

    Standard input must be a pipe that only the parent holds. The kernel's signal (Linux) works
    even while the interpreter is stuck. The pipe works everywhere, and also if the parent ended
    before the signal was requested.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_end_after_input, name="parent watch", daemon=True).start()


def _end_after_input() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os.killpg(0, signal.SIGKILL)


def _kill_group(process: Process) -> None:
    """Kill what is left of the child and of the processes it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
