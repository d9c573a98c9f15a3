"""The agent's end of `/audio`: one conversation's audio, over a connection that reconnects."""

import asyncio
import logging
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from agent_bridge.client.link import Backoff, socket_url
from agent_bridge.protocol.audio import (
    HELLO_TIMEOUT,
    MAX_FRAME,
    PING_INTERVAL,
    SUBPROTOCOL,
    BadFrame,
    Begin,
    Clear,
    Close,
    End,
    Hello,
    Peer,
    Played,
    Welcome,
    decode,
    encode,
)

log = logging.getLogger(__name__)

_BOUND: Final = 4_000
"""Most messages queued for a server that doesn't read; more than any reply has."""


class Listener(Protocol):
    """Receives what comes from the person's side."""

    def on_sound(self, pcm: bytes) -> None:
        """Receive the person's audio: 16-bit samples, 16,000 a second."""

    def on_peer(self, peer: Peer) -> None:
        """The person joined or left; losing our own connection counts as leaving."""

    def on_played(self, played: Played) -> None:
        """The person has heard this much of a reply."""


class AudioTransport(Protocol):
    """Carries audio between the agent and the person of one conversation."""

    def say(self, frame: Begin | End | Clear) -> None:
        """Begin or end a reply, or stop it at once."""

    def sound(self, pcm: bytes) -> None:
        """Send audio of a reply: 16-bit samples, 24,000 a second."""

    def state(self, state: str) -> None:
        """Show the agent's state if clients read it from this transport."""

    async def hears(self) -> None:
        """Wait until the person can be heard, or nobody is there; takes a few seconds at most."""

    async def run(self) -> None:
        """Keep the transport up until cancelled.

        An error means that the conversation can't continue on it; returning means that it
        continues without audio.
        """


class SocketTransport:
    """A transport over `/audio`, kept up until cancelled or until the server closes it for good.

    Args:
        url: the server's address, http(s) or ws(s).
        token: the agent's media token.
        listener: receives what arrives.
    """

    def __init__(self, url: str, token: str, listener: Listener) -> None:
        self._url = socket_url(url, "audio")
        self._token = token
        self._listener = listener
        self._outgoing: asyncio.Queue[str | bytes] | None = None

    def say(self, frame: Begin | End | Clear) -> None:
        """Send a control frame if connected; never waits."""
        self._put(encode(frame))

    def sound(self, pcm: bytes) -> None:
        """Send audio of a reply: 16-bit samples, 24,000 a second; never waits."""
        self._put(pcm)

    def state(self, state: str) -> None:
        """Do nothing: clients get the state from the bridge."""

    async def hears(self) -> None:
        """Return at once: the server keeps what is said before it is connected."""

    async def run(self) -> None:
        """Keep the connection up; return when the server closes it for good."""
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            try:
                code = await self._connected()
            except InvalidStatus as error:
                log.warning("/audio answered with status %d", error.response.status_code)
                code = None
            except (OSError, TimeoutError, WebSocketException, BadFrame) as error:
                log.info("the audio connection broke: %s", type(error).__name__)
                code = None
            if code is not None and code.is_terminal:
                log.info("the audio connection was closed: %s", code.name)
                return
            backoff.held(loop.time() - since)
            await asyncio.sleep(backoff.pause())

    async def _connected(self) -> Close | None:
        """Serve one connection; return why the server closed it."""
        async with connect(
            self._url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_FRAME,
            open_timeout=HELLO_TIMEOUT,
            ping_interval=PING_INTERVAL,
            close_timeout=2,
            proxy=None,
        ) as socket:
            try:
                await socket.send(encode(Hello(self._token)))
                async with asyncio.timeout(HELLO_TIMEOUT):
                    if not isinstance(decode(str(await socket.recv())), Welcome):
                        raise BadFrame("the first frame of the server must be welcome")
                await self._converse(socket)
            except ConnectionClosed as closed:
                return _code(closed)
        return None

    async def _converse(self, socket: ClientConnection) -> None:
        self._outgoing = asyncio.Queue()
        writer = asyncio.create_task(_write(socket, self._outgoing))
        try:
            while True:
                message = await socket.recv()
                if isinstance(message, bytes):
                    self._listener.on_sound(message)
                    continue
                match decode(message):
                    case Peer() as peer:
                        self._listener.on_peer(peer)
                    case Played() as played:
                        self._listener.on_played(played)
        finally:
            self._outgoing = None
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            self._listener.on_peer(Peer(connected=False))

    def _put(self, message: str | bytes) -> None:
        # Without a connection nobody would hear it.
        if self._outgoing is not None and self._outgoing.qsize() < _BOUND:
            self._outgoing.put_nowait(message)


async def _write(socket: ClientConnection, outgoing: asyncio.Queue[str | bytes]) -> None:
    while True:
        await socket.send(await outgoing.get())


def _code(closed: ConnectionClosed) -> Close | None:
    try:
        return Close(closed.rcvd.code) if closed.rcvd is not None else None
    except ValueError:
        return None
