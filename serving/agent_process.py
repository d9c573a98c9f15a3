"""The shipped agent as a child process: started again when it dies, never outliving its server."""

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
"""The exit status (EX_CONFIG) of an agent that would fail in the same way if started again."""

_PR_SET_PDEATHSIG: Final = 1

logger = logging.getLogger(__name__)


class AgentChild:
    """Keeps one agent process running until told to stop. Its log goes where this process's goes.

    Args:
        command: The program and its arguments.
        environment: What is added to this process's environment; secrets go here, because
            arguments can be read by everybody on the machine.
        first_delay: Seconds from its first death to its next start; doubled with each death.
        longest_delay: Seconds that this delay grows to.
        settled_after: Seconds after which an agent that dies is taken to have been sound.
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
        """The process's id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> None:
        """Start it, and keep it running from then on."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep_running(), name="agent child")

    async def stop(self, patience: float = 10.0) -> None:
        """Ask it to end (SIGTERM); after `patience` seconds, or when cancelled, end it by force."""
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
        # A session of its own: Ctrl-C in the terminal reaches the server only, which then ends
        # the agent in good order. The pipe is never written to; its end tells of the server's.
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
    """Make this process end when the one that started it does, even by SIGKILL.

    Standard input must be a pipe that only the parent holds. The kernel's signal (Linux) works
    even while the interpreter is stuck; the pipe works everywhere, and also when the parent was
    gone before the kernel was asked.
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
    """End what is left of the agent: itself, and what it may have started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
