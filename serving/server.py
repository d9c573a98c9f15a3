"""uvicorn, set up for many small WebSocket messages, and stopped in good order."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN

from hub.subscription import ReaderTooSlow
from schema.websocket import NEVER, WAITING, WHILE_READING
from serving import address
from serving.connections import ConnectionLimits, Http, limits_for

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

FRAME_LIMIT: Final = 1024 * 1024
"""Bytes of one WebSocket message; the limits of the single endpoints are at or under it."""

DRAIN_S: Final = 10
"""Seconds that each hook has: the app's, to end its streams; the agent's, to say its last words."""

STUCK_READER_S: Final = 8
"""Seconds in which a client that is behind takes nothing, before its streams end.

Noticed within twice that, which is before a ping can fail: it still learns why.
"""

Hook = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket that tells of a stuck client, and never keeps the server from stopping."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        cast(Config, self.config).limits.closed(self)
        super().connection_lost(exc)

    async def send(self, message: "ASGISendEvent") -> None:
        """Send; a handshake that was answered with a refusal is complete as well.

        Raises:
            ReaderTooSlow: the message may wait only while the client takes something; it was not
                sent.
        """
        if not self.writable.is_set():
            event = cast(dict[str, str], message)
            waiting = event.get(WAITING)
            if waiting == WHILE_READING:
                # Of those that wait, all wake up; the first may have filled the buffer again.
                while not self.writable.is_set():
                    await self._while_taken()
            elif waiting == NEVER and self.conn.state is OPEN:
                # The transport keeps what is written to it while it is paused.
                self.conn.send_text(event["text"].encode())
                self.transport.write(b"".join(self.conn.data_to_send()))
                return
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # uvicorn 0.54 logs an error for each of these else, as if nobody had answered.
            self.handshake_complete = True

    async def _while_taken(self) -> None:
        """Wait until more may be written.

        Raises:
            ReaderTooSlow: the client took nothing for a while.
        """
        address.keep_stuck_reader(self.transport)
        is_stuck = False
        while not is_stuck:
            waiting = self.transport.get_write_buffer_size()
            try:
                async with asyncio.timeout(STUCK_READER_S):
                    await self.writable.wait()
                    return
            except TimeoutError:
                is_stuck = self.transport.get_write_buffer_size() >= waiting
        raise ReaderTooSlow

    def shutdown(self) -> None:
        """Close it; what the peer began to close in this very moment needs no close frame."""
        try:
            super().shutdown()
        except Exception:  # uvicorn 0.54 lets it end the stop of the whole server
            log.debug("socket_closed_already")
            self.transport.close()


class Config(uvicorn.Config):
    """uvicorn's, with limits on connections."""

    limits: ConnectionLimits


def configured(app: ASGIApp, proxies: Sequence[str] = ()) -> Config:
    """Return how uvicorn serves this app.

    Args:
        app: The app.
        proxies: Addresses and networks of those whose word on a client's address and scheme
            counts; uvicorn by itself would believe everybody on this machine.
    """
    config = Config(
        app,
        http=Http,
        ws=Socket,
        lifespan="on",
        workers=1,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=5,
        ws_max_size=FRAME_LIMIT,
        # Compression costs 10-80 µs a message and doubles the memory of an idle connection.
        ws_per_message_deflate=False,
    )
    config.limits = limits_for(proxies)
    return config


class Server(uvicorn.Server):
    """uvicorn with hooks that run, one after the other, while the connections are still open."""

    def __init__(self, config: uvicorn.Config, hooks: Sequence[Hook | None]) -> None:
        super().__init__(config)
        self._hooks = [hook for hook in hooks if hook is not None]
        self._drain: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()
        """Set once requests are answered."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals and don't raise them again: a stop that was asked for is no failure."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second Ctrl-C stops at once."""
        super().handle_exit(sig, frame)
        if self.force_exit and self._drain is not None:
            self._drain.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then answer requests."""
        await super().startup(sockets)
        if self.started:  # else the app could not start, and the log says why
            self.opened.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the hooks, then close; uvicorn by itself would close before it tells the app."""
        print("  stopping  (Ctrl-C again to stop at once)", flush=True)
        self._drain = asyncio.create_task(self._run_hooks())
        await asyncio.wait([self._drain])
        await super().shutdown(sockets)

    async def _run_hooks(self) -> None:
        for hook in self._hooks:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await hook()
            except TimeoutError:
                log.warning("a part did not stop in time", seconds=DRAIN_S)
            except Exception:  # a task boundary: whatever it was, the rest must be stopped too
                log.exception("a part could not be stopped in good order")
