"""A person's audio connection to a LiveKit room, with LiveKit's own client."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from livekit import rtc

from tests.e2e.client.microphone import Microphone
from tests.e2e.client.player import RATE as HEARD_RATE
from tests.e2e.client.player import RoomPlayer
from tests.e2e.client.seen import Json
from tests.speech.sound import RATE

WITHIN_S: Final = 60.0
AHEAD_S: Final = 0.1
"""LiveKit's source buffers this much sound; its thread sends it on time when this loop is late."""


class RoomLine:
    """Sends the microphone's sound to the agent, and records the agent's replies.

    Args:
        microphone: the person's sound.
        player: records the replies.
        changed: called whenever something was heard, or a participant joined or left.
    """

    def __init__(
        self, microphone: Microphone, player: RoomPlayer, changed: Callable[[], None]
    ) -> None:
        self._microphone = microphone
        self._player = player
        self._changed = changed
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=round(4_000 * microphone.ahead_s))
        self._ears: dict[str, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.lost = asyncio.Event()
        """Set while LiveKit's client considers its connection lost."""
        self._is_received = False

    async def open(self, connection: Json) -> None:
        """Join with the given connection; return once the agent has subscribed."""
        room = self._room
        room.on("track_subscribed", self._on_subscribed)
        room.on("track_unsubscribed", self._on_unsubscribed)
        for event in ("participant_connected", "participant_disconnected"):
            room.on(event, lambda *_: self._changed())
        room.on("reconnecting", self.lost.set)
        room.on("reconnected", self._on_back)
        # A republished track is received only after a new subscription.
        room.on("local_track_republished", lambda *_: self._on_received(False))
        room.on("local_track_subscribed", lambda *_: self._on_received(True))
        async with asyncio.timeout(WITHIN_S):
            await room.connect(connection["url"], connection["token"])
            track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            publication = await room.local_participant.publish_track(track, options)
            self._tasks.append(self._spawn(self._speak()))
            await publication.wait_for_subscription()

    def check(self) -> None:
        """Raise the error that broke the connection, if any."""
        for task in [*self._tasks, *self._ears.values()]:
            if task.done():
                task.result()

    async def close(self) -> None:
        tasks = [*self._tasks, *self._ears.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._ears.clear()
        await self._room.disconnect()
        await self._source.aclose()
        self._player.stop()

    @property
    def voices(self) -> list[str]:
        """Identities of the agents that can be heard; each has subscribed before that."""
        return [
            one.identity
            for one in self._room.remote_participants.values()
            if any(sid in self._ears for sid in one.track_publications)
        ]

    @property
    def is_up(self) -> bool:
        """Whether the connection is up and the other end receives the microphone."""
        return not self.lost.is_set() and self._is_received

    def _on_back(self) -> None:
        self.lost.clear()
        self._changed()

    def _on_received(self, is_received: bool) -> None:
        self._is_received = is_received
        self._changed()

    async def _speak(self) -> None:
        async for piece in self._microphone.pieces():
            frame = rtc.AudioFrame(piece.astype("<i2").tobytes(), RATE, 1, len(piece))
            await self._source.capture_frame(frame)

    def _on_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, _: rtc.RemoteParticipant
    ) -> None:
        if isinstance(track, rtc.RemoteAudioTrack):
            self._ears[publication.sid] = self._spawn(self._hear(track))

    def _on_unsubscribed(
        self, _track: rtc.Track, publication: rtc.RemoteTrackPublication, *_: object
    ) -> None:
        if ear := self._ears.pop(publication.sid, None):
            ear.cancel()

    async def _hear(self, track: rtc.RemoteAudioTrack) -> None:
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=HEARD_RATE, num_channels=1, frame_size_ms=20
        )
        try:
            async for event in stream:
                self._player.add(bytes(event.frame.data))
                self._changed()
        finally:
            await stream.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed())
        return task
