"""Every media backend, with simulated people, for tests of their common behaviour."""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import jwt
import uvicorn
from livekit import api, rtc
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agent_bridge.livekit.backend import LiveKitMedia
from agent_bridge.livekit.control import LiveKitControl, LiveKitTrouble, RoomGone
from agent_bridge.media.backend import (
    Awaited,
    MediaBackend,
    MediaConnection,
    MediaServer,
    SessionGone,
)
from agent_bridge.media.local import LocalMedia
from agent_bridge.protocol import Start
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import ConnectedWorker, StartRequest, Workers
from hub.local import LocalHub
from tests.accesses import LOGIN, Accesses
from tests.livekit.hall import until
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.ports import free_port

AGENT = "voxql"
LOOK_S = 0.05
"""The interval between checks of the rooms."""
Asked = list[tuple[str, int, str]]
"""Session, attempt and token of each dispatched agent."""


@dataclass
class Notes:
    """A media handler that records the events."""

    running: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    waiting: dict[str, Awaited] = field(default_factory=dict)
    accesses: Accesses = field(default_factory=Accesses)

    def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        return self.accesses.admitted(access, on_end)

    async def person_came(self, session_id: str) -> None:
        if session_id in self.gone:
            raise SessionGone
        self.told.append(("came", session_id))

    async def person_left(self, session_id: str) -> None:
        self.told.append(("left", session_id))

    async def rooms(self) -> Mapping[str, str]:
        return self.running

    async def ended_among(self, rooms: Iterable[str]) -> set[str]:
        return self.over & set(rooms)

    async def awaited(self) -> list[Awaited]:
        return list(self.waiting.values())

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        return None

    async def have(self, told: tuple[str, str]) -> None:
        """Wait until this event was reported, in any order."""

        async def look() -> bool:
            return told in self.told

        await until(look)

    async def are(self, *told: tuple[str, str]) -> None:
        """Wait until exactly these events were reported."""

        async def look() -> bool:
            return self.told[: len(told)] == list(told)

        await until(look)
        assert self.told == list(told)


class Someone(Protocol):
    """A person whose media is connected."""

    async def leave(self) -> None: ...

    async def is_sent_out(self) -> None: ...


class Stage(ABC):
    """A media backend and its environment."""

    media: MediaBackend
    serving: MediaServer
    """Set once it is opened."""

    def __init__(self) -> None:
        self.notes = Notes()
        self._rooms: dict[str, str] = {}

    def room(self, session: str) -> str:
        """Return a session's room, which counts as running from now on."""
        room = self._rooms.setdefault(session, f"voxql-{uuid4().hex}")
        self.notes.running[room] = session
        return room

    def request(self, session: str, attempt: int = 1, agent: str = AGENT) -> StartRequest:
        return StartRequest(
            session, attempt, agent, f"token {attempt}", "audio", self.room(session)
        )

    def connection(self, session: str) -> MediaConnection:
        return self.media.connection(session, self.room(session), 1, LOGIN)

    @abstractmethod
    async def asked(self, session: str) -> Asked:
        """Return the agents dispatched in a session."""

    @abstractmethod
    async def enter(self, connection: MediaConnection) -> Someone:
        """Connect a person."""

    @abstractmethod
    def lose_agents(self) -> None:
        """Make every further dispatch fail."""


@dataclass
class AtAudio:
    """A person connected to `/audio`."""

    socket: ClientConnection

    async def leave(self) -> None:
        await self.socket.close()

    async def is_sent_out(self) -> None:
        async with asyncio.timeout(60):
            await self.socket.wait_closed()


class Local(Stage):
    """The server's own media, with a worker that accepts every job."""

    def __init__(self) -> None:
        super().__init__()
        self._starts: list[Start] = []
        self._workers = Workers(LocalHub())
        self._worker = ConnectedWorker(frozenset({AGENT}), 3, self._starts.append)
        self._workers.add(self._worker)
        self._socket = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        tokens = Tokens("secret of the tests, long enough for SHA-256")
        self.media: MediaBackend = LocalMedia(self._workers, tokens, url)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Local"]:
        self.serving = self.media.serve(self.notes)
        options: dict[str, Any] = {"lifespan": "off", "ws": "websockets-sansio"}
        app = Starlette(routes=self.serving.routes())
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))
        serving = asyncio.create_task(server.serve([self._socket]))
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
            await asyncio.sleep(0)
        try:
            yield self
        finally:
            self.serving.shut_down()
            server.should_exit = True
            await serving

    async def asked(self, session: str) -> Asked:
        return [(one.session, one.attempt, one.bridge_token) for one in self._starts]

    async def enter(self, connection: MediaConnection) -> AtAudio:
        protocols = [Subprotocol("voxql.audio.v1")]
        line = await connect(connection.url, subprotocols=protocols, compression=None)
        await line.send(json.dumps({"type": "hello", "token": connection.token}))
        return AtAudio(line)

    def lose_agents(self) -> None:
        self._workers.remove(self._worker)


class InRooms(Stage):
    """LiveKit, real or fake."""

    media: LiveKitMedia

    @property
    def control(self) -> LiveKitControl:
        return self.media._control

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["InRooms"]:
        self.serving = self.media.serve(self.notes)
        control = self.control
        running = asyncio.create_task(self.serving.run())
        try:
            yield self
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await control.close()
            # Another one, if the agents were lost.
            await self.control.close()

    async def asked(self, session: str) -> Asked:
        wanted = await self.control.dispatches(self.room(session))
        told = [json.loads(one.metadata)["voxql"] for one in wanted]
        return [(one["session"], one["attempt"], one["token"]) for one in told]

    def lose_agents(self) -> None:
        lost = LiveKitControl(f"ws://127.0.0.1:{free_port()}", KEY, SECRET)
        self.media._control = lost


@dataclass
class InARoom:
    """A person in a real room."""

    room: rtc.Room

    async def leave(self) -> None:
        await self.room.disconnect()

    async def is_sent_out(self) -> None:
        async def look() -> bool:
            return not self.room.isconnected()

        await until(look)


class InRealRooms(InRooms):
    """A real LiveKit."""

    def __init__(self, livekit: LiveKitServer) -> None:
        super().__init__()
        self.media = LiveKitMedia(
            livekit.url, KEY, SECRET, "http://here", call_s=30, every_s=LOOK_S
        )

    async def enter(self, connection: MediaConnection) -> InARoom:
        room = rtc.Room()
        await room.connect(connection.url, connection.token)
        return InARoom(room)


class MadeUpLiveKit(LiveKitControl):
    """A LiveKit in memory: rooms, their participants and dispatches."""

    def __init__(self) -> None:
        super().__init__("ws://made-up", KEY, SECRET)
        self.people: dict[str, dict[str, dict[str, str]]] = {}
        """Participants by room, each with their attributes."""
        self.wanted: dict[str, list[api.AgentDispatch]] = {}
        self.is_there = True

    async def create(self, room: str, metadata: str, agent_name: str, job_metadata: str) -> None:
        self._note("create_room")
        if room not in self.people:
            self.people[room], self.wanted[room] = {}, []
            await self.dispatch(room, agent_name, job_metadata)

    async def rooms(self, names: Iterable[str] = ()) -> list[api.Room]:
        self._note("list_rooms")
        wanted = set(names)
        return [api.Room(name=name) for name in self.people if name in wanted or not wanted]

    async def delete(self, room: str) -> None:
        self._note("delete_room", room)
        del self.people[room], self.wanted[room]

    async def participants(self, room: str) -> list[api.ParticipantInfo]:
        self._note("list_participants")
        active = api.ParticipantInfo.State.ACTIVE
        there = self.people.get(room, {})
        return [
            api.ParticipantInfo(identity=one, state=active, attributes=attributes)
            for one, attributes in there.items()
        ]

    async def dispatches(self, room: str) -> list[api.AgentDispatch]:
        self._note("list_dispatch", room)
        return list(self.wanted[room])

    async def dispatch(self, room: str, agent_name: str, job_metadata: str) -> None:
        self._note("create_dispatch", room)
        dispatch = api.AgentDispatch(id=uuid4().hex, agent_name=agent_name, metadata=job_metadata)
        self.wanted[room].append(dispatch)

    async def withdraw(self, room: str, dispatch_id: str) -> None:
        self._note("delete_dispatch", room)
        self.wanted[room] = [one for one in self.wanted[room] if one.id != dispatch_id]

    async def remove(self, room: str, identity: str) -> None:
        self._note("remove_participant", room)
        self.people[room].pop(identity, None)

    def _note(self, call: str, room: str | None = None) -> None:
        if not self.is_there:
            raise LiveKitTrouble("made up")
        if room is not None and room not in self.people:
            raise RoomGone(call)
        self.calls[call, "ok"] += 1


@dataclass
class InAMadeUpRoom:
    """A person in a room in memory."""

    livekit: MadeUpLiveKit
    room: str
    identity: str

    async def leave(self) -> None:
        self.livekit.people[self.room].pop(self.identity, None)

    async def is_sent_out(self) -> None:
        async def look() -> bool:
            return self.identity not in self.livekit.people.get(self.room, ())

        await until(look)


class InMadeUpRooms(InRooms):
    """Rooms of a LiveKit in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.livekit = MadeUpLiveKit()
        self.media = LiveKitMedia("ws://made-up", KEY, SECRET, "http://here", every_s=LOOK_S)
        self.media._control = self.livekit

    async def enter(self, connection: MediaConnection) -> InAMadeUpRoom:
        claims = jwt.decode(connection.token, SECRET, algorithms=["HS256"], issuer=KEY)
        room, identity = claims["video"]["room"], claims["sub"]
        self.livekit.people.setdefault(room, {})[identity] = claims["attributes"]
        return InAMadeUpRoom(self.livekit, room, identity)

    def lose_agents(self) -> None:
        self.livekit.is_there = False
