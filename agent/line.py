"""The agent's end of `/audio`: one conversation's sound, through a connection that comes back."""

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
"""Messages that may wait for a server that doesn't read; more than any reply has."""


class Listener(Protocol):
    """Who wants to know what comes from the person."""

    def on_sound(self, pcm: bytes) -> None:
        """Sound of the person: 16-bit samples, 16,000 a second."""

    def on_peer(self, peer: Peer) -> None:
        """The person came or went. A lost connection of our own counts as their going."""

    def on_played(self, played: Played) -> None:
        """The person has heard so much of a reply."""


class Line(Protocol):
    """How sound goes between the agent and the person of one conversation."""

    def say(self, frame: Begin | End | Clear) -> None:
        """Begin or end a reply, or stop it at once."""

    def sound(self, pcm: bytes) -> None:
        """Send sound of a reply: 16-bit samples, 24,000 a second."""

    def state(self, state: str) -> None:
        """Show what the agent is doing, where this line is also how others see it."""

    async def hears(self) -> None:
        """Return when what the person says from now on is heard, or when nobody is there to say it.

        It takes a few seconds at the longest, whatever happens.
        """

    async def run(self) -> None:
        """Keep it up until cancelled.

        An error means that the conversation can't go on with it; returning means that it goes on
        without sound.
        """


class AudioLine:
    """Sends and receives until cancelled, or until the server closes for good.

    Args:
        url: the server's address, http(s) or ws(s).
        token: the agent's media token.
        listener: hears what comes.
    """

    def __init__(self, url: str, token: str, listener: Listener) -> None:
        self._url = socket_url(url, "audio")
        self._token = token
        self._listener = listener
        self._outgoing: asyncio.Queue[str | bytes] | None = None

    def say(self, frame: Begin | End | Clear) -> None:
        """Send a control frame, if there is somebody to send it to; never waits."""
        self._put(encode(frame))

    def sound(self, pcm: bytes) -> None:
        """Send sound of a reply: 16-bit samples, 24,000 a second; never waits."""
        self._put(pcm)

    def state(self, state: str) -> None:
        """Nothing to do: the person sees what the bridge says."""

    async def hears(self) -> None:
        """Return at once: the server keeps what is said before this is connected."""

    async def run(self) -> None:
        """Keep the connection up. Returns when the server doesn't want it any more."""
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
        # Without a connection nobody is there to hear it.
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
