"""uvicorn, configured for many small WebSocket messages and an orderly stop."""

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
from websockets.http11 import Request
from websockets.protocol import OPEN

from hub.direct import DIRECT
from hub.subscription import ReaderTooSlow
from serving.connections import ConnectionLimits, Http, limits_for
from serving.process import address

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

FRAME_LIMIT: Final = 1024 * 1024
"""Bytes of one WebSocket message; no endpoint has a higher limit."""

DRAIN_S: Final = 10
"""Seconds for each hook: the app's, to end its streams; the agent's, to send its last words."""

STUCK_READER_S: Final = 8
"""Seconds for which a slow client may read nothing before its streams end.

This is noticed within twice that time, before a ping can fail, so that the client still learns why.
"""

NOT_UTF_8: Final = 1007
"""The close code for text that is not UTF-8: RFC 6455, section 7.4.1."""

LINGER_S: Final = 0.2
"""Seconds that a new connection has to send its request when one of several processes stops."""

Hook = Callable[[], Awaitable[object]]

log = structlog.get_logger(__name__)


def _header(length: int) -> bytes:
    """Return the header of an unmasked text frame: RFC 6455, section 5.2."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket that the app may use directly, and that never keeps the server from stopping.

    It is a `DirectSocket`.
    """

    _receive: Callable[[str | None], None] | None = None
    _written = 0
    """Bytes that `write` has given to the transport."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        cast(WebServerConfig, self.config).limits.closed(self)
        self._receive = None
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Offer the app this socket, besides ASGI."""
        super().handle_connect(event)
        if self.handshake_initiated:
            cast(dict[str, object], self.scope["extensions"])[DIRECT] = self

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a message; a refused handshake counts as complete, too."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # Otherwise uvicorn 0.54 logs an error, as if the handshake were unanswered.
            self.handshake_complete = True

    # ------------------------------------------------------------------ directly

    def listen(self, receive: Callable[[str | None], None]) -> None:
        """See `DirectSocket`."""
        self._receive = receive
        events = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        self.resume_reading()
        for event in events:
            if event["type"] == "websocket.receive":
                receive(event.get("text"))
            else:
                self.queue.put_nowait(event)

    def send_receive_event_to_app(self) -> None:
        """Call the app with a message, or queue it for ASGI."""
        if self._receive is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        text = None
        if self.curr_msg_data_type == "text":
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self.conn.send_close(NOT_UTF_8)
                self.handle_parser_exception()
                return
        self._receive(text)

    def pause_reading(self) -> None:
        """See `DirectSocket`."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See `DirectSocket`."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    @property
    def is_writable(self) -> bool:
        """See `DirectSocket`."""
        return self.writable.is_set()

    async def until_writable(self) -> None:
        """See `DirectSocket`."""
        address.keep_stuck_reader(self.transport)
        is_stuck = False
        while not is_stuck:
            sent = self._sent
            try:
                async with asyncio.timeout(STUCK_READER_S):
                    await self.writable.wait()
                    return
            except TimeoutError:
                is_stuck = self._sent <= sent
        raise ReaderTooSlow

    @property
    def _sent(self) -> int:
        """Bytes that the system has taken; others may have written since it was read last."""
        return self._written - self.transport.get_write_buffer_size()

    def write(self, text: str) -> None:
        """See `DirectSocket`."""
        if self._is_closing:
            return
        data = text.encode()
        frame = _header(len(data)) + data
        self._written += len(frame)
        # One write without the parser's bookkeeping. While the transport is paused it buffers.
        self.transport.write(frame)

    def close(self, code: int, reason: str) -> None:
        """See `DirectSocket`."""
        if self._is_closing:
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    @property
    def _is_closing(self) -> bool:
        """Whether nothing may be sent: uvloop raises if its transport is closed."""
        return self.close_sent or self.conn.state is not OPEN or self.transport.is_closing()

    def shutdown(self) -> None:
        """Close the connection; if the peer is closing it already, it needs no close frame."""
        try:
            super().shutdown()
        except Exception:  # in uvicorn 0.54 it would abort the whole server's shutdown
            log.debug("socket_closed_already")
            self.transport.close()


class WebServerConfig(uvicorn.Config):
    """uvicorn's configuration, with limits on connections."""

    limits: ConnectionLimits


def configured(app: ASGIApp, proxies: Sequence[str] = ()) -> WebServerConfig:
    """Return the configuration that serves this app.

    Args:
        app: The app.
        proxies: Addresses and networks of the proxies that are trusted to give a client's address
            and scheme; uvicorn by itself would trust everybody on this machine.
    """
    config = WebServerConfig(
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
        # Compression costs 10-80 µs per message and doubles the memory of an idle connection.
        ws_per_message_deflate=False,
    )
    config.limits = limits_for(proxies)
    return config


class WebServer(uvicorn.Server):
    """uvicorn with hooks that run one after the other, before the connections are closed."""

    def __init__(
        self, config: uvicorn.Config, hooks: Sequence[Hook | None], *, leaves_first: bool = False
    ) -> None:
        super().__init__(config)
        self._hooks = [hook for hook in hooks if hook is not None]
        if leaves_first:
            self._hooks.insert(0, self.leave)
        self._drain: asyncio.Task[None] | None = None
        self.opened = asyncio.Event()
        """Set once the server answers requests."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals and don't raise them again: a requested stop is no failure."""
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
        if self.started:  # otherwise the app could not start; the log says why
            self.opened.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the hooks, then close; uvicorn by itself would close first and then tell the app."""
        print("  stopping  (Ctrl-C again to stop at once)", flush=True)
        self._drain = asyncio.create_task(self._run_hooks())
        await asyncio.wait([self._drain])
        await super().shutdown(sockets)

    async def leave(self) -> None:
        """Accept no more connections: other processes do.

        A connection that was just accepted still gets its answer.
        """
        for server in self.servers:
            server.close()
        await asyncio.sleep(LINGER_S)

    async def _run_hooks(self) -> None:
        for hook in self._hooks:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await hook()
            except TimeoutError:
                log.warning("a part did not stop in time", seconds=DRAIN_S)
            except Exception:  # a task boundary: whatever failed, stop the rest
                log.exception("a part could not be stopped in good order")
