"""Reads typed lines without blocking the event loop."""

import asyncio
import os
import sys
import threading
from typing import Self


class Keyboard:
    """Reads lines in a daemon thread.

    Standard input may be a terminal, a pipe or a file, and an event loop can't watch all of these.
    The thread reads the descriptor, because reading `sys.stdin` would hold its lock at exit.

    Args:
        descriptor: the file descriptor to read; standard input by default.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdin.fileno() if descriptor is None else descriptor
        self.is_interactive = os.isatty(self._descriptor)
        """Whether a person is typing, and reading each answer before the next line."""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="keyboard", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the thread running until the process exits: it can't be woken."""

    async def next(self) -> str | None:
        """Wait for the next line that isn't blank; None at the end (Ctrl-D)."""
        return await self._lines.get()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        pending = b""
        try:
            while data := os.read(self._descriptor, 4_096):
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._hand_over(loop, line)
            self._hand_over(loop, pending)
            loop.call_soon_threadsafe(self._lines.put_nowait, None)
        except RuntimeError:
            # The conversation has ended, and its loop with it.
            return

    def _hand_over(self, loop: asyncio.AbstractEventLoop, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        if text:
            loop.call_soon_threadsafe(self._lines.put_nowait, text)
