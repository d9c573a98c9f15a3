"""One accepted WebSocket of `/bridge`: frames in and out, bounded queues, one orderly end."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_bridge.protocol import (
    CloseCode,
    Dialect,
    Exchange,
    Frame,
    FrameError,
    Nack,
    Side,
    close_reason,
)
from agent_bridge.protocol import Unacceptable as UnacceptableUtterance
from hub.direct import DIRECT, DirectSocket
from hub.subscription import ReaderTooSlow

log = structlog.get_logger(__name__)

WAITING_FRAMES: Final = 1_000
WAITING_CHARACTERS: Final = 1024 * 1024
READ_AHEAD: Final = 64
"""Frames that are read before earlier ones are taken."""
CLOSE_SECONDS: Final = 1.0
"""How long the last frames and the close may take if the peer does not read."""


class Hangup(Exception):
    """Ends the connection with this code; raised in its own task."""

    def __init__(self, code: CloseCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class PeerGone(Exception):
    """The peer has closed the connection, or it broke."""


class PeerSocket:
    """`send` never waits; what can't be written at once is written by a task.

    It uses the socket directly if the server allows it. Belongs to one event loop.
    """

    def __init__(self, websocket: WebSocket, dialect: Dialect) -> None:
        self._websocket = websocket
        self._exchange = Exchange(dialect, Side.SERVER)
        self._outgoing: deque[str] = deque()
        self._outgoing_characters = 0
        self._wake = asyncio.Event()
        self._ended: asyncio.Future[Hangup | None] = asyncio.get_running_loop().create_future()
        self._incoming: deque[str | bytes | Frame | Exception] = deque()
        self._take: Callable[[Frame], bool] | None = None
        self._arrived = asyncio.Event()
        self._is_gone = False
        self._is_paused = False
        extensions = websocket.scope.get("extensions", {})
        self._direct: DirectSocket | None = extensions.get(DIRECT)
        if self._direct is not None:
            self._direct.listen(self._arrive)

    def send(self, frame: Frame) -> None:
        """Queue a frame; a peer that leaves too many unread is closed, not waited for."""
        if self._ended.done():
            return
        data = self._exchange.send(frame)
        if self._direct is not None and not self._outgoing and self._direct.is_writable:
            self._direct.write(data)
            return
        self._outgoing.append(data)
        self._outgoing_characters += len(data)
        self._wake.set()
        if len(self._outgoing) > WAITING_FRAMES or self._outgoing_characters > WAITING_CHARACTERS:
            self._outgoing.clear()
            self.end(CloseCode.SLOW_READER, "too much waits for you to read it")

    async def receive(self, take: Callable[[Frame], bool] | None = None) -> Frame:
        """Wait for the next frame; utterances that can't be accepted are answered here.

        Args:
            take: Takes frames in the call in which they arrive, and returns whether it did. The
                first that it refuses is returned.

        Raises:
            PeerGone: The peer closed the connection, or it broke.
            Hangup: The peer broke the protocol.
        """
        while True:
            data = await (self._next() if self._direct is None else self._next_directly(take))
            if isinstance(data, Exception):
                raise data
            frame = self._decode(data) if isinstance(data, str | bytes) else data
            if frame is not None:
                return frame

    def _decode(self, data: str | bytes) -> Frame | None:
        try:
            return self._exchange.receive(data)
        except FrameError as error:
            raise Hangup(error.close_code, str(error)) from error
        except UnacceptableUtterance as error:
            self._refuse(error.nack)
            return None

    async def _next(self) -> str | bytes:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise PeerGone
        data: str | bytes | None = message.get("text")
        return message["bytes"] if data is None else data

    async def _next_directly(
        self, take: Callable[[Frame], bool] | None
    ) -> str | bytes | Frame | Exception:
        assert self._direct is not None
        while not self._incoming:
            if self._is_gone:
                raise PeerGone
            self._arrived.clear()
            self._take = take
            try:
                await self._arrived.wait()
            finally:
                self._take = None
        data = self._incoming.popleft()
        if self._is_paused and not self._incoming:
            self._is_paused = False
            self._direct.resume_reading()
        return data

    def _arrive(self, text: str | None) -> None:
        data = b"" if text is None else text
        found: str | bytes | Frame | Exception = data
        # Nothing may overtake what waits, or what a task is still taking.
        if self._take is not None and not self._incoming:
            try:
                frame = self._decode(data)
                if frame is None or self._take(frame):
                    return
                found = frame
            except Exception as error:  # raised in the connection's own task
                found = error
        self._incoming.append(found)
        self._arrived.set()
        if len(self._incoming) >= READ_AHEAD and not self._is_paused:
            assert self._direct is not None
            self._is_paused = True
            self._direct.pause_reading()

    async def _until_gone(self) -> None:
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass
        self._is_gone = True
        self._arrived.set()

    def _refuse(self, nack: Nack) -> None:
        try:
            self.send(nack)
        except FrameError as error:
            raise Hangup(error.close_code, "an utterance is out of place here") from error

    async def first(self, seconds: float) -> Frame:
        """Wait for the first frame.

        Raises:
            PeerGone: See `receive`.
            Hangup: See `receive`, or the frame did not come in time.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self.receive()
        except TimeoutError:
            message = f"the first frame did not come within {seconds:g} s"
            raise Hangup(CloseCode.HELLO_TIMEOUT, message) from None

    def end(self, code: CloseCode, sentence: str) -> None:
        """End the connection from outside its task; the first call counts."""
        if not self._ended.done():
            self._ended.set_result(Hangup(code, sentence))

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which reads, until it is done, `end` is called, or the peer is gone."""
        working = asyncio.create_task(work)
        writing = asyncio.create_task(self._write())
        leaving = None if self._direct is None else asyncio.create_task(self._until_gone())
        try:
            ends: set[asyncio.Future[Any]] = {working, writing, self._ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not self._ended.done() and not working.done():
                # Writing failed; reading shows why.
                await asyncio.wait({working}, timeout=CLOSE_SECONDS)
        finally:
            tasks = [task for task in (working, writing, leaving) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            # Retrieved, so that asyncio does not report it as never retrieved: the peer was gone.
            _ = writing.cancelled() or writing.exception()
        hangup = self._ended.result() if self._ended.done() else _outcome(working)
        if not self._ended.done():
            self._ended.set_result(hangup)
        if hangup is not None:
            await self._close(hangup)

    async def _write(self) -> None:
        while True:
            await self._flush()
            self._wake.clear()
            await self._wake.wait()

    async def _flush(self) -> None:
        while self._outgoing:
            data = self._outgoing[0]
            await self._send_text(data)
            # Removed only now: if this task is cancelled while it waits, `_close` sends the rest.
            if self._outgoing:
                self._outgoing.popleft()
                self._outgoing_characters -= len(data)

    async def _send_text(self, data: str) -> None:
        if self._direct is None:
            await self._websocket.send_text(data)
            return
        while not self._direct.is_writable:
            # How much may wait is limited instead of how long: see `send`.
            with suppress(ReaderTooSlow):
                await self._direct.until_writable()
        self._direct.write(data)

    async def _close(self, hangup: Hangup) -> None:
        reason = close_reason(f"{hangup.code.name}: {hangup}")
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._flush()
                await self._websocket.close(hangup.code, reason)
        # The peer does not read, or is already gone.
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass


def _outcome(working: asyncio.Task[None]) -> Hangup | None:
    """Return how to close a connection whose own task has ended, or whose writing failed."""
    if not working.done() or working.cancelled():
        return None
    error = working.exception()
    if error is None or isinstance(error, PeerGone):
        return None
    if isinstance(error, Hangup):
        return error
    log.error("connection failed", exc_info=error)
    return Hangup(CloseCode.INTERNAL, "a fault of the server; it has been logged")
