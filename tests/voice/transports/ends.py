"""Each implementation of a transport, opened with a person at the other end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from livekit import api, rtc

from agent.audio_transport import AudioTransport, SocketTransport
from agent.room_transport import RoomLost, RoomTransport
from agent_bridge.protocol.audio import Peer, Played
from tests.attach import people
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.voice.person import Person, person
from tests.voice.server import Server
from tests.voice.transports.memory_transport import Cable

Sound = npt.NDArray[np.int16]
SESSION = "ses_line"
PERSON = f"person-{SESSION}"
WITHIN_S = 60.0


class Listener:
    """Records what comes from the person."""

    def __init__(self) -> None:
        self.sound = bytearray()
        self.peers: list[Peer] = []
        self.played: list[Played] = []
        self._changed = asyncio.Event()

    def on_sound(self, pcm: bytes) -> None:
        self.sound += pcm
        self._changed.set()

    def on_peer(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._changed.set()

    def on_played(self, played: Played) -> None:
        self.played.append(played)
        self._changed.set()

    @property
    def is_attended(self) -> bool:
        """Whether a person is connected."""
        return bool(self.peers) and self.peers[-1].connected

    def samples(self, playout: str) -> list[int]:
        """Return the reported numbers of played samples of a reply."""
        return [played.samples for played in self.played if played.playout == playout]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Someone(Protocol):
    """The person, whatever their connection."""

    async def speak(self, pcm: Sound, then: float = 1.0) -> object:
        """Say something in real time, then stay silent for a while."""

    def heard(self) -> Sound:
        """Return the agent's sound so far, at 24,000 samples a second."""

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until sound or events make this condition true."""


class Ends(Protocol):
    """Both ends of a transport."""

    listener: Listener

    @property
    def keeps(self) -> bool:
        """Whether the transport keeps sound from before the agent connects."""

    @property
    def is_received(self) -> bool:
        """Whether the microphone of the connected person is received."""

    @property
    def loss(self) -> type[Exception] | None:
        """The error of the agent's end when the transport ends; None if it returns."""

    def transport(self) -> AudioTransport:
        """Return the agent's end; called once."""

    def person(self) -> AbstractAsyncContextManager[Someone]:
        """Connect the person; disconnect at the end."""

    async def end(self) -> None:
        """End the transport for good, from the server's side."""


class _Near:
    """A person at `/audio` or a similar transport."""

    def __init__(self, someone: Person) -> None:
        self._someone = someone

    async def speak(self, pcm: Sound, then: float = 1.0) -> object:
        return await self._someone.speak(pcm, then)

    def heard(self) -> Sound:
        return np.concatenate([reply.heard() for reply in self._someone.replies])

    async def until(self, condition: Callable[[], object]) -> None:
        await self._someone.until(condition, WITHIN_S)


class InMemory:
    """The tests' transport in memory."""

    keeps, is_received, loss = True, True, None

    def __init__(self) -> None:
        self.listener = Listener()
        self._cable = Cable()

    def transport(self) -> AudioTransport:
        return self._cable.transport(self.listener)

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Someone]:
        async with self._cable.person() as someone:
            yield _Near(someone)

    async def end(self) -> None:
        self._cable.is_over.set()


class OverAudio:
    """`/audio`, through a real server."""

    keeps, is_received, loss = True, True, None

    def __init__(self, server: Server) -> None:
        self.listener = Listener()
        self._server = server

    def transport(self) -> AudioTransport:
        token = self._server.tokens.media(SESSION, "agent", 1)[0]
        return SocketTransport(self._server.url, token, self.listener)

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Someone]:
        token = self._server.person_token(SESSION)
        async with person(self._server.url, token) as someone:
            yield _Near(someone)

    async def end(self) -> None:
        self._server.relay.end(SESSION)


class _InRoom:
    """A person in a room."""

    def __init__(self, someone: people.RoomPerson) -> None:
        self._someone = someone

    async def speak(self, pcm: Sound, then: float = 1.0) -> object:
        await self._someone.speak(pcm, then)
        return None

    def heard(self) -> Sound:
        return np.frombuffer(bytes(self._someone.heard), np.int16)

    async def until(self, condition: Callable[[], object]) -> None:
        await self._someone.until(condition, WITHIN_S)


class InRoom:
    """A room of a real LiveKit server."""

    keeps, loss = False, RoomLost

    def __init__(self, livekit: LiveKitServer) -> None:
        self.listener = Listener()
        self._livekit = livekit
        self._name = f"line-{uuid4().hex}"
        self._room = rtc.Room()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["InRoom"]:
        """Connect the agent to the room, as LiveKit does for a job."""
        grants = api.VideoGrants(room_join=True, room=self._name, can_update_own_metadata=True)
        access = api.AccessToken(KEY, SECRET).with_identity("agent").with_grants(grants)
        options = rtc.RoomOptions(auto_subscribe=False)
        await people.open_room(self._livekit, self._name)
        await self._room.connect(self._livekit.url, access.to_jwt(), options)
        try:
            yield self
        finally:
            await self._room.disconnect()

    @property
    def is_received(self) -> bool:
        publications = self._room.remote_participants[PERSON].track_publications
        return any(one.track is not None for one in publications.values())

    def transport(self) -> AudioTransport:
        loop = asyncio.get_running_loop()
        return RoomTransport(self._room, loop, PERSON, self.listener)

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Someone]:
        published = asyncio.Event()
        self._room.once("track_published", lambda *_: published.set())
        async with self.enters(PERSON) as someone:
            # Until then the agent can't know that there is a microphone.
            await asyncio.wait_for(published.wait(), WITHIN_S)
            yield _InRoom(someone)

    def enters(self, identity: str) -> AbstractAsyncContextManager[people.RoomPerson]:
        """Connect anybody to the room."""
        return people.person(self._livekit, self._name, identity)

    async def end(self) -> None:
        await people.delete_room(self._livekit, self._name)
