"""The `/audio` endpoint: relays sound between the person and the agent of a session, stores none.

It neither decodes nor mixes: the slow work of speech happens in the agent's process.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import structlog
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_bridge.media.buffers import Flow, Pace
from agent_bridge.media.sides import (
    ACCESS_ENDED,
    BUFFERED_SECONDS,
    AudioConnection,
    Closed,
    Room,
    close_socket,
    decoded,
    receive,
    write,
)
from agent_bridge.protocol.audio import (
    HELLO_TIMEOUT,
    INPUT_SAMPLE_RATE,
    OUTPUT_SAMPLE_RATE,
    SAMPLE_WIDTH,
    SUBPROTOCOL,
    BadFrame,
    Begin,
    Clear,
    Close,
    End,
    Hello,
    Peer,
    Played,
    Role,
    Welcome,
    check_sound,
    encode,
)
from agent_bridge.server.handler import AccessEnded, NotNow, SessionGone
from agent_bridge.server.tokens import TokenRefused, Tokens

log = structlog.get_logger(__name__)

_FROM: Final = {Role.PERSON: INPUT_SAMPLE_RATE, Role.AGENT: OUTPUT_SAMPLE_RATE}
_ALLOWED: Final = {Role.PERSON: (Played,), Role.AGENT: (Begin, End, Clear)}


class MediaHandler(Protocol):
    """Receives the person's join and leave events; see `media.backend.MediaListener`."""

    def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """Watch a person's access; `AccessEnded` closes the connection with UNAUTHENTICATED."""

    async def person_came(self, session_id: str) -> None:
        """The person of this session is connected; called again when a connection replaces one.

        Raises:
            SessionGone: The conversation is over; the connection is closed with GONE.
            NotNow: The database can't be written now; the connection is closed with INTERNAL.
        """

    async def person_left(self, session_id: str) -> None:
        """The person's last connection has ended."""


class AudioRelay:
    """All audio connections of this process.

    Args:
        tokens: Reads the media tokens.
        handler: Receives join and leave events.
        hello_timeout: Seconds that a connection may take to say who it is.
    """

    def __init__(
        self,
        tokens: Tokens,
        handler: MediaHandler,
        *,
        hello_timeout: float = HELLO_TIMEOUT,
    ) -> None:
        self._tokens = tokens
        self._handler = handler
        self._hello_timeout = hello_timeout
        self._rooms: dict[str, Room] = {}
        self._dropped_before = 0

    @property
    def connections(self) -> int:
        """How many welcomed connections are open."""
        return sum(len(room.sides) for room in self._rooms.values())

    @property
    def dropped_seconds(self) -> float:
        """Seconds of people's sound dropped since the start because no agent took it."""
        dropped = sum(room.to_agent.dropped for room in self._rooms.values())
        return (dropped + self._dropped_before) / (INPUT_SAMPLE_RATE * SAMPLE_WIDTH)

    def has_person(self, session_id: str) -> bool:
        """Whether the person of this session is connected."""
        room = self._rooms.get(session_id)
        return room is not None and Role.PERSON in room.sides

    def end(self, session_id: str, code: Close = Close.ENDED) -> None:
        """Close both sides of a session that has ended (`ENDED`) or was deleted (`GONE`)."""
        self._close_room(session_id, code, "the conversation has ended")

    def shut_down(self) -> None:
        """Close everything; clients may reconnect."""
        for session_id in list(self._rooms):
            self._close_room(session_id, Close.RESTARTING, "the server stops or restarts")

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one connection (for `WebSocketRoute("/audio", relay.endpoint)`)."""
        if SUBPROTOCOL not in socket.scope.get("subprotocols", ()):
            answer = PlainTextResponse(
                f"/audio speaks the WebSocket subprotocol {SUBPROTOCOL}.\n", status_code=400
            )
            await socket.send_denial_response(answer)
            return
        await socket.accept(subprotocol=SUBPROTOCOL)
        try:
            await self._serve(socket)
        except WebSocketDisconnect:
            pass
        except Closed as closed:
            await close_socket(socket, closed.code, closed.sentence)
        except Exception:  # a connection's boundary: its client must still get a close frame
            log.exception("audio_failed")
            await close_socket(socket, Close.INTERNAL, "a fault of the server; it has been logged")

    async def _serve(self, socket: WebSocket) -> None:
        side = self._introduced(await self._hello(socket), socket)
        if side.role is Role.AGENT:
            await self._take_part(side)
            return
        grant = side.grant
        try:
            # Before it replaces another connection.
            async with self._handler.admitted(grant.session, grant.access, side.lose_access):
                await self._take_part(side)
        except AccessEnded:
            raise Closed(Close.UNAUTHENTICATED, ACCESS_ENDED) from None

    async def _take_part(self, side: AudioConnection) -> None:
        session_id = side.grant.session
        room = self._rooms.setdefault(session_id, Room())
        self._enter(room, side)
        try:
            if side.role is Role.PERSON:
                await self._handler.person_came(session_id)
            await self._run(room, side)
        except NotNow:
            raise Closed(Close.INTERNAL, "this can't be stored just now; connect again") from None
        except SessionGone:
            raise Closed(Close.GONE, "there is no such conversation any more") from None
        finally:
            await self._leave(room, side)

    async def _hello(self, socket: WebSocket) -> Hello:
        try:
            async with asyncio.timeout(self._hello_timeout):
                message = await receive(socket)
        except TimeoutError:
            raise Closed(Close.HELLO_TIMEOUT, "the first frame did not come in time") from None
        hello = decoded(message) if isinstance(message, str) else None
        if not isinstance(hello, Hello):
            raise Closed(Close.BAD_FRAME, "the first frame must be hello")
        return hello

    def _introduced(self, hello: Hello, socket: WebSocket) -> AudioConnection:
        try:
            grant = self._tokens.read_media(hello.token)
        except TokenRefused:
            raise Closed(Close.UNAUTHENTICATED, "the token is wrong or has expired") from None
        room = self._rooms.get(grant.session)
        if (
            grant.role == "agent"
            and room is not None
            and Role.AGENT in room.sides
            and grant.attempt < room.attempt
        ):
            raise Closed(Close.FENCED, "a newer attempt has taken this one's place")
        outgoing = Flow(int(BUFFERED_SECONDS * OUTPUT_SAMPLE_RATE * SAMPLE_WIDTH))
        return AudioConnection(grant, socket, hello.reports_played, outgoing)

    def _enter(self, room: Room, side: AudioConnection) -> None:
        role = side.role
        old = room.sides.get(role)
        if old is not None:
            old.close(Close.FENCED, "a newer connection has taken this one's place")
        room.sides[role] = side
        if role is Role.AGENT:
            room.attempt = side.grant.attempt
            # It gets the sound from before it came; frames were meant for the previous agent.
            room.to_agent = side.outgoing = room.to_agent.only_sound()
        peer = room.peer(role)
        if peer is not None:
            if old is not None:
                peer.tell(Peer(connected=False))
            peer.tell(Peer(connected=True, reports_played=side.reports_played))
        answer = Peer(peer is not None, peer is not None and peer.reports_played)
        side.greeting += encode(Welcome(side.grant.session, role)), encode(answer)

    async def _run(self, room: Room, side: AudioConnection) -> None:
        """Read and write until either ends or somebody asks for the end."""
        loop = asyncio.get_running_loop()
        reader = loop.create_task(self._read(room, side))
        writer = loop.create_task(write(side))
        try:
            ends: set[asyncio.Future[Any]] = {reader, writer, side.closing}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if side.closing.done():
                raise Closed(*side.closing.result())
            for task in (reader, writer):
                if task.done():
                    task.result()
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self, room: Room, side: AudioConnection) -> None:
        role = side.role
        pace = Pace(_FROM[role] * SAMPLE_WIDTH, asyncio.get_running_loop().time)
        while True:
            message = await receive(side.socket)
            if room.sides.get(role) is not side:
                return
            if isinstance(message, bytes):
                try:
                    check_sound(message)
                except BadFrame as error:
                    raise Closed(Close.BAD_FRAME, str(error)) from None
                if not pace.allows(len(message)):
                    raise Closed(Close.TOO_FAST, "sound came much faster than real time")
            else:
                frame = decoded(message)
                if not isinstance(frame, _ALLOWED[role]):
                    raise Closed(Close.BAD_FRAME, "this side may not send such a frame")
                if isinstance(frame, Played) and not side.reports_played:
                    side.reports_played = True
            room.relay(role, message)

    async def _leave(self, room: Room, side: AudioConnection) -> None:
        role, session_id = side.role, side.grant.session
        if room.sides.get(role) is not side:
            return
        del room.sides[role]
        peer = room.peer(role)
        if peer is not None:
            peer.tell(Peer(connected=False))
        if not room.sides and self._rooms.get(session_id) is room:
            asyncio.get_running_loop().call_later(BUFFERED_SECONDS, self._forget, session_id, room)
        if role is Role.PERSON:
            await self._handler.person_left(session_id)

    def _forget(self, session_id: str, room: Room) -> None:
        """Free a room to which nobody returned: its person spoke and left before an agent came."""
        if not room.sides and self._rooms.get(session_id) is room:
            del self._rooms[session_id]
            self._dropped_before += room.to_agent.dropped

    def _close_room(self, session_id: str, code: Close, sentence: str) -> None:
        room = self._rooms.pop(session_id, None)
        if room is None:
            return
        self._dropped_before += room.to_agent.dropped
        for side in room.sides.values():
            side.close(code, sentence)
