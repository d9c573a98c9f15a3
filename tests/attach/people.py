"""A person in a LiveKit room, who speaks, listens and records what is shown there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from livekit import api, rtc

from tests.programs.livekit_server import KEY, SECRET, LiveKitServer

RATE: Final = 16_000
HEARD_RATE: Final = 24_000
QUIET: Final = 300
"""Samples below this (of 32,767) are silence."""
Pcm = npt.NDArray[np.int16]


@dataclass
class Shown:
    """A segment of speech as the room shows it."""

    segment: str
    sender: str
    text: str = ""
    final: bool = False


@dataclass
class RoomPerson:
    """A participant of the room, and what they received."""

    room: rtc.Room
    source: rtc.AudioSource
    identity: str
    publication: rtc.LocalTrackPublication | None = None
    """The microphone, once it is published."""
    shown: dict[str, Shown] = field(default_factory=dict)
    heard: bytearray = field(default_factory=bytearray)
    """The agent's sound, at 24,000 samples a second."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def speak(self, pcm: Pcm, then: float = 1.0) -> None:
        """Say something in real time, then stay silent for a while."""
        sound = np.concatenate([pcm, np.zeros(round(then * RATE), np.int16)])
        step = RATE // 50
        for start in range(0, len(sound), step):
            piece = sound[start : start + step]
            frame = rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece))
            # Blocks while the source is full, which keeps real time.
            await self.source.capture_frame(frame)

    async def is_received(self) -> None:
        """Wait until somebody subscribes to the microphone: earlier sound is lost."""
        assert self.publication is not None
        async with asyncio.timeout(60):
            await self.publication.wait_for_subscription()

    async def until(self, condition: Callable[[], object], timeout: float = 60) -> None:
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def finals(self, *, of_me: bool) -> list[Shown]:
        return [s for s in self.shown.values() if s.final and (s.sender == self.identity) is of_me]

    @property
    def loudest(self) -> int:
        return int(np.abs(np.frombuffer(bytes(self.heard), np.int16)).max(initial=0))

    def has_heard_out(self) -> bool:
        """Return whether somebody has spoken and then been silent for half a second."""
        sound = np.abs(np.frombuffer(bytes(self.heard), np.int16))
        return self.loudest > QUIET and sound[-HEARD_RATE // 2 :].max(initial=0) < QUIET

    def agents(self) -> list[str]:
        kinds = rtc.ParticipantKind
        return [
            participant.identity
            for participant in self.room.remote_participants.values()
            if participant.kind == kinds.PARTICIPANT_KIND_AGENT
        ]

    def listen(self) -> None:
        self.room.register_text_stream_handler("lk.transcription", self._on_text)
        self.room.on("track_subscribed", self._on_track)
        for event in ("participant_connected", "participant_disconnected"):
            self.room.on(event, lambda *_: self._changed.set())

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        await self.source.aclose()

    def _on_text(self, reader: rtc.TextStreamReader, sender: str) -> None:
        self._spawn(self._read(reader, sender))

    async def _read(self, reader: rtc.TextStreamReader, sender: str) -> None:
        attributes = dict(reader.info.attributes or {})
        segment = attributes["lk.segment_id"]
        shown = self.shown.setdefault(segment, Shown(segment, sender))
        text = ""
        async for piece in reader:
            text += piece
            shown.text = text
            self._changed.set()
        final = dict(reader.info.attributes or {}).get("lk.transcription_final")
        shown.final = shown.final or final == "true"
        self._changed.set()

    def _on_track(self, track: rtc.Track, *_: Any) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._spawn(self._hear(track))

    async def _hear(self, track: rtc.RemoteAudioTrack) -> None:
        stream = rtc.AudioStream.from_track(track=track, sample_rate=HEARD_RATE, num_channels=1)
        try:
            async for event in stream:
                self.heard += bytes(event.frame.data)
                self._changed.set()
        finally:
            await stream.aclose()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def token(room: str, identity: str) -> str:
    """Return a person's token like VoxQL's: a microphone and no data."""
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_subscribe=True,
        can_publish=True,
        can_publish_data=False,
        can_publish_sources=["microphone"],
    )
    access = api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants)
    return access.with_ttl(timedelta(minutes=15)).to_jwt()


async def open_room(
    livekit: LiveKitServer, name: str, agent: str | None = None, metadata: object = None
) -> None:
    """Create a room; if there is an agent, dispatch it in the same call, as VoxQL does."""
    job = api.RoomAgentDispatch(agent_name=agent, metadata=json.dumps(metadata))
    jobs = [] if agent is None else [job]
    async with api.LiveKitAPI(livekit.http_url, KEY, SECRET) as control:
        await control.room.create_room(
            api.CreateRoomRequest(name=name, empty_timeout=60, departure_timeout=60, agents=jobs)
        )


async def send_agent(livekit: LiveKitServer, room: str, agent: str, metadata: object) -> None:
    """Dispatch an agent to an existing room."""
    async with api.LiveKitAPI(livekit.http_url, KEY, SECRET) as control:
        await control.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                agent_name=agent, room=room, metadata=json.dumps(metadata)
            )
        )


async def delete_room(livekit: LiveKitServer, name: str) -> None:
    async with api.LiveKitAPI(livekit.http_url, KEY, SECRET) as control:
        await control.room.delete_room(api.DeleteRoomRequest(room=name))


@asynccontextmanager
async def person(
    livekit: LiveKitServer, room: str, identity: str, given: str = ""
) -> AsyncIterator[RoomPerson]:
    """Join a room with a microphone, with the given token or a new one."""
    connection = rtc.Room()
    # Buffer enough for a late loop: LiveKit fills gaps with silence, which would split sentences.
    source = rtc.AudioSource(RATE, 1, queue_size_ms=1000)
    someone = RoomPerson(connection, source, identity)
    someone.listen()
    await connection.connect(livekit.url, given or token(room, identity))
    try:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        someone.publication = await connection.local_participant.publish_track(track, options)
        yield someone
    finally:
        await someone.end()
