"""Runs the shipped agent as a child process, which is restarted and never outlives its server."""

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
"""The exit status (EX_CONFIG) of an agent that would fail the same way if restarted."""

_PR_SET_PDEATHSIG: Final = 1

logger = logging.getLogger(__name__)


class AgentChild:
    """Keeps one agent process running until told to stop. It logs to this process's log.

    Args:
        command: The program and its arguments.
        environment: Variables added to this process's environment. Secrets go here, because every
            user of the machine can read arguments.
        first_delay: Seconds before the first restart; doubled with each death.
        longest_delay: Maximum of this delay in seconds.
        settled_after: Seconds of running after which a death resets the delay.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        first_delay: float = 0.5,
        longest_delay: float = 30.0,
        settled_after: float = 60.0,
    ) -> None:
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
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> None:
        """Start the agent and keep it running."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep_running(), name="agent child")

    async def stop(self, patience: float = 10.0) -> None:
        """Send SIGTERM; after `patience` seconds, or when cancelled, kill the agent."""
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
            logger.warning("the agent did not end within %g s and was killed", patience)
        finally:
            _kill_group(process)
        await process.wait()

    async def _spawn(self) -> None:
        # In its own session, Ctrl-C in the terminal reaches only the server, which then stops the
        # agent cleanly. Nothing is written to the pipe; it closes when the server ends.
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, env=self._environment, start_new_session=True
        )
        self.starts += 1

    async def _keep_running(self) -> None:
        delay = self._first_delay
        while self._process is not None:
            started = time.monotonic()
            status = await self._process.wait()
            _kill_group(self._process)
            if status == CANNOT_RUN:
                logger.error("the agent can't run here; its own message says why")
                return
            if time.monotonic() - started >= self._settled_after:
                delay = self._first_delay
            logger.warning("the agent %s; starting it again in %g s", _ending(status), delay)
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._longest_delay)
            await self._spawn()


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
    """Kill what is left of the agent and of the processes it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
