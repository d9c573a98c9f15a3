"""The connections of `/audio`: the two sides of a session, and the room where they meet."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agent_bridge.media.buffers import Flow, Overflow
from agent_bridge.protocol.audio import (
    INPUT_SAMPLE_RATE,
    MAX_FRAME,
    SAMPLE_WIDTH,
    BadFrame,
    Close,
    Frame,
    Peer,
    Role,
    decode,
    encode,
)
from agent_bridge.server.tokens import MediaGrant

log = structlog.get_logger(__name__)

BUFFERED_SECONDS: Final = 30.0
"""How many seconds of a person's sound are kept until an agent is there to hear it."""

ACCESS_ENDED: Final = "the login or API token behind this token has ended"


@dataclass(eq=False, slots=True)
class AudioConnection:
    """One connection that has said hello with a valid token."""

    grant: MediaGrant
    socket: WebSocket
    reports_played: bool
    outgoing: Flow
    greeting: list[str] = field(default_factory=list)
    closing: asyncio.Future[tuple[Close, str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def role(self) -> Role:
        """Which side this is."""
        return Role.PERSON if self.grant.role == "person" else Role.AGENT

    def close(self, code: Close, sentence: str) -> None:
        """Ask the connection's own task to close it; the first reason counts."""
        if not self.closing.done():
            self.closing.set_result((code, sentence))

    def lose_access(self) -> None:
        """Close it because the login or API token behind its media token has ended."""
        self.close(Close.UNAUTHENTICATED, ACCESS_ENDED)

    def tell(self, frame: Peer) -> None:
        """Queue a control frame."""
        self.put(encode(frame))

    def put(self, message: str | bytes) -> None:
        """Queue a message; close the side if too many wait."""
        try:
            self.outgoing.put(message)
        except Overflow:
            self.close(Close.SLOW_READER, "this side does not read what is sent to it")


class Room:
    """The two sides of one session, and the sound that waits for an agent."""

    def __init__(self) -> None:
        self.sides: dict[Role, AudioConnection] = {}
        self.attempt = 0
        bound = int(BUFFERED_SECONDS * INPUT_SAMPLE_RATE * SAMPLE_WIDTH)
        self.to_agent = Flow(bound, drops_oldest=True)

    def peer(self, role: Role) -> AudioConnection | None:
        """Return the other side, if it is connected."""
        return self.sides.get(Role.AGENT if role is Role.PERSON else Role.PERSON)

    def relay(self, role: Role, message: str | bytes) -> None:
        """Pass a message to the other side; if nobody is there, keep only a person's sound."""
        peer = self.peer(role)
        if role is Role.PERSON and isinstance(message, bytes):
            self.to_agent.put(message)
        elif peer is not None:
            peer.put(message)


class Closed(Exception):
    """Raised to close this connection."""

    def __init__(self, code: Close, sentence: str) -> None:
        super().__init__(code.says(sentence))
        self.code = code
        self.sentence = sentence


async def receive(socket: WebSocket) -> str | bytes:
    """Return the next message.

    Raises:
        Closed: The message is too long.
        WebSocketDisconnect: The connection has ended.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    data: bytes | None = message.get("bytes")
    text: str = message.get("text") or ""
    if len(text.encode() if data is None else data) > MAX_FRAME:
        raise Closed(Close.TOO_BIG, f"a message may have {MAX_FRAME} bytes")
    return text if data is None else data


async def write(side: AudioConnection) -> None:
    """Send a side's messages until cancelled."""
    socket = side.socket
    for greeting in side.greeting:
        await socket.send_text(greeting)
    while True:
        message = await side.outgoing.get()
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_text(message)


def decoded(message: str) -> Frame | None:
    """Return the frame of a text message; raise `Closed` for a bad one."""
    try:
        return decode(message)
    except BadFrame as error:
        raise Closed(Close.BAD_FRAME, str(error)) from None


async def close_socket(socket: WebSocket, code: Close, sentence: str) -> None:
    """Close a connection, with a code and a sentence, if it is still open."""
    if socket.application_state is WebSocketState.CONNECTED:
        # A side that doesn't read can't be told either; uvicorn's own time-out drops it.
        try:
            async with asyncio.timeout(5):
                await socket.close(code, code.says(sentence))
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            log.debug("audio_lost_before_close", code=code.name)
