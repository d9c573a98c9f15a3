"""An audio transport in memory: the content of `/audio`, without a connection or delay."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from websockets.asyncio.client import ClientConnection

from agent.audio_transport import Listener
from agent_bridge.protocol.audio import Begin, Clear, End, Peer, Played, decode, encode
from tests.voice.person import Person


class Cable:
    """Connects a person and the agent of one conversation; either may come first."""

    def __init__(self) -> None:
        self.to_agent: asyncio.Queue[str | bytes | Peer] = asyncio.Queue()
        self.to_person: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.is_over = asyncio.Event()
        """Set once the transport ends for good."""
        self.shown: list[str] = []
        """States of the agent."""

    def transport(self, listener: Listener) -> "MemoryTransport":
        """Return the agent's end."""
        return MemoryTransport(self, listener)

    @asynccontextmanager
    async def person(self, *, reports: bool = True) -> AsyncIterator[Person]:
        """Connect the person; disconnect at the end."""
        someone = Person(cast(ClientConnection, _Socket(self)), reports=reports)
        self.to_agent.put_nowait(Peer(connected=True, reports_played=reports))
        listening = asyncio.create_task(someone.listen())
        try:
            yield someone
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            self.to_agent.put_nowait(Peer(connected=False))


class MemoryTransport:
    """The agent's end of a cable."""

    def __init__(self, cable: Cable, listener: Listener) -> None:
        self._cable = cable
        self._listener = listener

    def say(self, frame: Begin | End | Clear) -> None:
        self._cable.to_person.put_nowait(encode(frame))

    def sound(self, pcm: bytes) -> None:
        self._cable.to_person.put_nowait(pcm)

    def state(self, state: str) -> None:
        self._cable.shown.append(state)

    async def hears(self) -> None:
        """Return at once: earlier sound is kept."""

    async def run(self) -> None:
        """Serve until the transport ends."""
        passing = asyncio.create_task(self._pass_on())
        try:
            await self._cable.is_over.wait()
        finally:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
            self._listener.on_peer(Peer(connected=False))

    async def _pass_on(self) -> None:
        while True:
            match await self._cable.to_agent.get():
                case bytes() as pcm:
                    self._listener.on_sound(pcm)
                case Peer() as peer:
                    self._listener.on_peer(peer)
                    frame = {"type": "peer", "connected": True, "reportsPlayed": False}
                    self._cable.to_person.put_nowait(json.dumps(frame))
                case str() as text:
                    played = decode(text)
                    assert isinstance(played, Played)
                    self._listener.on_played(played)


class _Socket:
    """The person's end, with the interface of a WebSocket connection."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable

    async def send(self, message: str | bytes) -> None:
        self._cable.to_agent.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            yield await self._cable.to_person.get()
