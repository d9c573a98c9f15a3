"""In a room, too, the agent learns how much of a reply was played."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
from livekit import rtc

from agent import room_transport
from agent.room_transport import RoomLost, RoomTransport
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE, Begin, Clear, End, Peer, Played

PERSON = "person-ses_a"
TENTH = OUTPUT_SAMPLE_RATE // 10


class Person:
    """A person in the room, without a microphone."""

    identity = PERSON

    def __init__(self) -> None:
        self.track_publications: dict[str, object] = {}


class Room:
    """A room whose person subscribes to the agent's voice at once."""

    def __init__(self) -> None:
        self.remote_participants = {PERSON: Person()}
        self.local_participant = self
        self.handlers: dict[str, Callable[[object], None]] = {}

    def on(self, event: str, handler: Callable[[object], None]) -> None:
        self.handlers[event] = handler

    def isconnected(self) -> bool:
        return True

    async def publish_track(self, *_: object) -> "Room":
        return self

    async def wait_for_subscription(self) -> None:
        """Return at once: there is a subscriber."""

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        """Ignore the attributes."""


class Listener:
    """Records what the transport reports."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.played: list[Played] = []
        self._changed = asyncio.Event()

    def on_sound(self, pcm: bytes) -> None:
        """Ignore the sound: nobody speaks."""

    def on_peer(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._changed.set()

    def on_played(self, played: Played) -> None:
        self.played.append(played)
        self._changed.set()

    async def until(self, count: int, playout: str) -> None:
        """Wait until this many samples of this reply were played."""
        async with asyncio.timeout(15):
            while Played(playout, count) not in self.played:
                self._changed.clear()
                await self._changed.wait()


def begun() -> tuple[RoomTransport, Listener, asyncio.Task[None]]:
    listener = Listener()
    room = cast(rtc.Room, cast(Any, Room()))
    transport = RoomTransport(room, asyncio.get_running_loop(), PERSON, listener)
    return transport, listener, asyncio.create_task(transport.run())


async def ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_reply_is_reported_until_all_of_it_was_played() -> None:
    """Reports grow and never exceed what was sent."""
    transport, listener, running = begun()
    transport.say(Begin("ply_1"))
    for _ in range(3):
        transport.sound(bytes(2 * TENTH))
    transport.say(End("ply_1", 3 * TENTH))

    await listener.until(3 * TENTH, "ply_1")

    counts = [played.samples for played in listener.played]
    assert counts == sorted(counts)
    assert counts[0] < 3 * TENTH
    assert listener.peers[0] == Peer(connected=True, reports_played=True)
    await ended(running)


async def test_a_reply_that_is_cut_off_is_reported_once_more_and_no_further() -> None:
    """The next reply is counted from its own start."""
    transport, listener, running = begun()
    transport.say(Begin("ply_1"))
    transport.sound(bytes(2 * 9 * TENTH))
    transport.say(Clear("ply_1"))
    transport.say(Begin("ply_2"))
    transport.sound(bytes(2 * TENTH))

    await listener.until(TENTH, "ply_2")

    assert all(report.samples < 9 * TENTH for report in listener.played)
    names = [report.playout for report in listener.played]
    assert names == sorted(names)
    await ended(running)


async def test_a_lost_room_is_reported_although_a_stream_of_it_never_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LiveKit's streams wait for an event that may not come once their room is gone."""
    monkeypatch.setattr(room_transport, "_CLOSES_WITHIN", 0.05)
    room, over = Room(), asyncio.Event()

    async def never_closes() -> None:
        while not over.is_set():
            with suppress(asyncio.CancelledError):
                await over.wait()

    given = cast(rtc.Room, cast(Any, room))
    transport = RoomTransport(given, asyncio.get_running_loop(), PERSON, Listener())
    stuck = transport._side._ears["TR_1"] = asyncio.create_task(never_closes())
    running = asyncio.create_task(transport.run())
    while "disconnected" not in room.handlers:  # noqa: ASYNC110 - it signals nothing
        await asyncio.sleep(0)

    room.handlers["disconnected"](None)

    with pytest.raises(RoomLost):
        async with asyncio.timeout(15):
            await running
    assert not stuck.done()
    over.set()
    await stuck
