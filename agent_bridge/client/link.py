"""A reconnecting WebSocket to `/bridge`, shared by the two clients."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Subprotocol

from ..protocol import CloseCode, Dialect, Exchange, Frame, FrameError, Side
from ..protocol.codes import FRAME_BYTES_TO_AGENT, HELLO_SECONDS

log = logging.getLogger(__name__)

PING_SECONDS: Final = 20.0
CLOSE_SECONDS: Final = 2.0

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class BridgeClosed(Exception):
    """The server rejects this client for good; see the terminal close codes of the protocol."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason or code.name)
        self.code = code


def socket_url(base: str, path: str) -> str:
    """Return the address of a socket (`bridge`, `audio`) of the server at `base`.

    Raises:
        ValueError: `base` is not an http(s) or ws(s) address without query and credentials.
    """
    parts = urlsplit(base)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("the server's address looks like http://host:port or https://host")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/{path}"


@dataclass
class Backoff:
    """Pauses between attempts: exponential, with full jitter to keep clients out of step."""

    first: float = 0.1
    longest: float = 10.0
    steady: float = 5.0
    """A connection that lasts this many seconds resets the count."""
    tries: int = field(default=0, init=False)

    def held(self, seconds: float) -> None:
        """Note how long a connection lasted."""
        if seconds >= self.steady:
            self.tries = 0

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt."""
        # The exponent is bounded, because a float overflows after a thousand attempts.
        window = min(self.longest, self.first * 2 ** min(self.tries, 30))
        self.tries += 1
        return random.uniform(0, window)  # noqa: S311 - jitter is no secret


class Line:
    """One open connection."""

    def __init__(self, socket: ClientConnection, dialect: Dialect) -> None:
        self._socket = socket
        self._exchange = Exchange(dialect, Side.AGENT)
        self.welcomed_at: float | None = None

    async def send(self, frame: Frame) -> None:
        """Send a frame; waits while the network is slow."""
        await self._socket.send(self._exchange.send(frame))

    async def receive(self) -> Frame:
        """Wait for the next frame that this client knows."""
        while True:
            frame = self._exchange.receive(await self._socket.recv())
            if frame is not None:
                return frame

    async def greet(self, hello: Frame) -> Frame:
        """Send the first frame and wait for the welcome."""
        await self.send(hello)
        async with asyncio.timeout(HELLO_SECONDS):
            welcome = await self.receive()
        self.welcomed_at = asyncio.get_running_loop().time()
        return welcome

    async def converse(self, *parts: Awaitable[None]) -> None:
        """Run the parts of a conversation concurrently until the first ends; raise its error."""
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


class Link:
    """Connects and runs `converse`, and reconnects until there is a reason to stop."""

    def __init__(self, url: str, dialect: Dialect, backoff: Backoff | None = None) -> None:
        self._url = socket_url(url, "bridge")
        self._dialect = dialect
        self._backoff = backoff or Backoff()
        self._is_loss_told = False

    async def run(self, converse: Callable[[Line], Awaitable[None]]) -> None:
        """Run until a conversation returns.

        Raises:
            BridgeClosed: The server closed with a terminal code, or refused the handshake.
        """
        while True:
            try:
                if await self._once(converse):
                    return
            except InvalidURI:
                raise
            except InvalidStatus as error:
                if error.response.status_code == 400:
                    said = bytes(error.response.body or b"")[:200].decode(errors="replace")
                    raise BridgeClosed(CloseCode.BAD_FRAME, said) from error
                self._lost(error)
            except (OSError, TimeoutError, FrameError, WebSocketException) as error:
                self._lost(error)
            await asyncio.sleep(self._backoff.pause())

    async def _once(self, converse: Callable[[Line], Awaitable[None]]) -> bool:
        async with connect(
            self._url,
            subprotocols=[Subprotocol(self._dialect.subprotocol)],
            max_size=FRAME_BYTES_TO_AGENT,
            compression=None,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            **_direct(self._url),
        ) as socket:
            if socket.subprotocol is None:
                raise BridgeClosed(CloseCode.BAD_FRAME, "the server does not speak this protocol")
            line = Line(socket, self._dialect)
            self._is_loss_told = False
            try:
                await converse(line)
            except ConnectionClosed as error:
                _raise_if_terminal(error)
                log.info("connection ended, connecting again: %s", error)
                return False
            except FrameError as error:
                await socket.close(error.close_code, str(error)[:120])
                raise
            finally:
                if line.welcomed_at is not None:
                    self._backoff.held(asyncio.get_running_loop().time() - line.welcomed_at)
            return True

    def _lost(self, error: Exception) -> None:
        # Warn once, then log at debug level: the server may be away for long.
        level = logging.DEBUG if self._is_loss_told else logging.WARNING
        self._is_loss_told = True
        log.log(level, "no connection to the server, trying again: %r", error)


def _raise_if_terminal(error: ConnectionClosed) -> None:
    # The server never puts a token or what was said into a close reason.
    if error.rcvd is not None:
        try:
            code = CloseCode(error.rcvd.code)
        except ValueError:
            return
        if code.is_terminal:
            raise BridgeClosed(code, error.rcvd.reason) from error


def _direct(url: str) -> dict[str, Any]:
    """Keep connections to this machine off any proxy; websockets uses one since 15.0."""
    host = urlsplit(url).hostname or ""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    newest = int(version("websockets").partition(".")[0]) >= 15
    return {"proxy": None} if is_local and newest else {}
