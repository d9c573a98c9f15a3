"""Carries one conversation's audio through a LiveKit room; `SocketTransport` uses `/audio`.

The room runs on the loop of its job's thread, the conversation on the loop of the models, and they
pass each other messages. So only the transport differs.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from livekit import rtc

from agent.audio_transport import Listener
from agent_bridge.protocol.audio import (
    INPUT_SAMPLE_RATE,
    OUTPUT_SAMPLE_RATE,
    SAMPLE_WIDTH,
    Begin,
    Clear,
    End,
    Peer,
    Played,
)

T = TypeVar("T")

_QUEUE_MS: Final = 1_000
"""Audio that LiveKit's source can hold; twice the most that is sent ahead."""
_REPORT: Final = 0.1
"""Seconds between reports of how much has been played."""
_HEARS_WITHIN: Final = 3.0
"""Seconds that LiveKit may take to deliver a microphone that is published in the room."""
_CLOSES_WITHIN: Final = 2.0
"""Seconds for LiveKit's streams to close once the room is gone; now and then one never does."""
_HEARD_MS: Final = 20
"""Milliseconds of the person's audio in each frame."""


class RoomLost(Exception):
    """LiveKit has closed the room, or removed the agent from it."""


class RoomTransport:
    """The conversation's side of its room; create and use it on the conversation's loop.

    Args:
        room: a connected room, whose loop is `loop`.
        person: the identity of the participant to listen to.
        listener: receives what arrives.
    """

    def __init__(
        self, room: rtc.Room, loop: asyncio.AbstractEventLoop, person: str, listener: Listener
    ) -> None:
        self._loop = loop
        self._home = asyncio.get_running_loop()
        self._listener = listener
        self._side = RoomSide(room, person, self._tell)

    def say(self, frame: Begin | End | Clear) -> None:
        """Begin or end a reply, or stop it at once; never waits."""
        self._put(self._side.outgoing.put_nowait, frame)

    def sound(self, pcm: bytes) -> None:
        """Send audio of a reply: 16-bit samples, 24,000 a second; never waits."""
        self._put(self._side.outgoing.put_nowait, pcm)

    def state(self, state: str) -> None:
        """Show the agent's state in the room, as LiveKit's own clients expect it."""
        self._put(self._side.states.put_nowait, state)

    async def hears(self) -> None:
        """Wait until the person's microphone is received, if there is one in the room."""
        with suppress(RuntimeError):  # the room's loop has ended
            hearing = asyncio.run_coroutine_threadsafe(self._side.hears(), self._loop)
            await asyncio.wrap_future(hearing)

    async def run(self) -> None:
        """Serve until the room is gone.

        Raises:
            RoomLost: when the room is gone for good.
        """
        running = asyncio.run_coroutine_threadsafe(self._side.run(), self._loop)
        await asyncio.wrap_future(running)
        raise RoomLost("the room is gone")

    def _put(self, put: Callable[[T], None], what: T) -> None:
        with suppress(RuntimeError):  # the room's loop has ended
            self._loop.call_soon_threadsafe(put, what)

    def _tell(self, what: bytes | Peer | Played) -> None:
        with suppress(RuntimeError):  # the conversation's loop has ended
            self._home.call_soon_threadsafe(self._hear, what)

    def _hear(self, what: bytes | Peer | Played) -> None:
        match what:
            case Peer():
                self._listener.on_peer(what)
            case Played():
                self._listener.on_played(what)
            case _:
                self._listener.on_sound(what)


class RoomSide:
    """The room's side, on the room's loop: receives the microphone and publishes the voice."""

    def __init__(
        self, room: rtc.Room, person: str, tell: Callable[[bytes | Peer | Played], None]
    ) -> None:
        self.outgoing: asyncio.Queue[Begin | End | Clear | bytes] = asyncio.Queue()
        self.states: asyncio.Queue[str] = asyncio.Queue()
        self._room = room
        self._person = person
        self._tell = tell
        self._ears: dict[str, asyncio.Task[None]] = {}
        self._publishing: asyncio.Future[rtc.LocalTrackPublication] | None = None
        self._is_there = False
        self._is_heard = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serve until the room is gone."""
        gone = asyncio.Event()
        ended = asyncio.create_task(gone.wait())
        room = self._room
        room.on("disconnected", lambda *_: gone.set())
        room.on("track_published", self._on_published)
        room.on("track_subscribed", self._on_subscribed)
        room.on("track_unsubscribed", self._on_unsubscribed)
        room.on("participant_connected", self._on_came)
        room.on("participant_disconnected", self._on_left)
        if not room.isconnected():
            gone.set()
        for participant in room.remote_participants.values():
            self._on_came(participant)
        working = [asyncio.create_task(self._speak()), asyncio.create_task(self._show_states())]
        try:
            done, _ = await asyncio.wait({ended, *working}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.is_set():
                for task in done:
                    task.result()
        finally:
            tasks = [ended, *working, *self._ears.values()]
            for task in tasks:
                task.cancel()
            closed, _ = await asyncio.wait(tasks, timeout=_CLOSES_WITHIN)
            for task in closed:
                task.cancelled() or task.exception()
            self._tell(Peer(connected=False))

    async def hears(self) -> None:
        """Wait until the person's microphone is received; anything said before that is lost."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARS_WITHIN):
                while self._has_microphone() and not self._ears:
                    self._changed.clear()
                    await self._changed.wait()

    def _has_microphone(self) -> bool:
        person = self._room.remote_participants.get(self._person)
        publications = person.track_publications.values() if person else ()
        return any(one.source == rtc.TrackSource.SOURCE_MICROPHONE for one in publications)

    def _on_came(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._person:
            return
        self._is_there = True
        self._greet()
        for publication in participant.track_publications.values():
            self._on_published(publication, participant)

    def _on_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._person:
            self._is_there = False
            self._changed.set()
            self._tell(Peer(connected=False))

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        # Receive nothing else: others in the room don't belong to this conversation.
        if (
            participant.identity == self._person
            and publication.source == rtc.TrackSource.SOURCE_MICROPHONE
        ):
            publication.set_subscribed(True)

    def _on_subscribed(
        self,
        track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        if participant.identity == self._person and isinstance(track, rtc.RemoteAudioTrack):
            self._ears[publication.sid] = asyncio.create_task(self._listen(track))
            self._changed.set()

    def _on_unsubscribed(
        self,
        _track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        _participant: rtc.RemoteParticipant,
    ) -> None:
        if ear := self._ears.pop(publication.sid, None):
            ear.cancel()

    async def _listen(self, track: rtc.RemoteAudioTrack) -> None:
        stream = rtc.AudioStream.from_track(
            track=track,
            sample_rate=INPUT_SAMPLE_RATE,
            num_channels=1,
            frame_size_ms=_HEARD_MS,
        )
        try:
            async for event in stream:
                self._tell(bytes(event.frame.data))
        finally:
            await stream.aclose()

    async def _speak(self) -> None:
        """Publish the voice and play the queue."""
        source = rtc.AudioSource(OUTPUT_SAMPLE_RATE, 1, queue_size_ms=_QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        voice = _ReplyPlayer(source, self._tell)
        try:
            # Don't cancel this: LiveKit's SDK would fail on its own event, which still arrives.
            self._publishing = asyncio.ensure_future(
                self._room.local_participant.publish_track(track, options)
            )
            self._publishing.add_done_callback(lambda done: done.cancelled() or done.exception())
            publication = await asyncio.shield(self._publishing)
            playing = asyncio.create_task(self._play(voice))
            try:
                # A reply that begins before anybody is subscribed would lose its first words.
                await publication.wait_for_subscription()
                self._is_heard.set()
                self._greet()
                await playing
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
        finally:
            await source.aclose()

    async def _play(self, voice: "_ReplyPlayer") -> None:
        while True:
            try:
                async with asyncio.timeout(_REPORT if voice.is_playing else None):
                    item = await self.outgoing.get()
            except TimeoutError:
                voice.report()
                continue
            await voice.take(item)

    def _greet(self) -> None:
        if self._is_there and self._is_heard.is_set():
            self._tell(Peer(connected=True, reports_played=True))

    async def _show_states(self) -> None:
        while True:
            state = await self.states.get()
            await self._room.local_participant.set_attributes({"lk.agent.state": state})


class _ReplyPlayer:
    """Plays a reply through LiveKit's audio source and reports how much has been played."""

    def __init__(self, source: rtc.AudioSource, tell: Callable[[Played], None]) -> None:
        self._source = source
        self._tell = tell
        self._playout = ""
        self._sent = 0
        self._reported = -1

    @property
    def is_playing(self) -> bool:
        """Whether there is still something to report."""
        return bool(self._playout) and self._reported != self._sent

    async def take(self, item: Begin | End | Clear | bytes) -> None:
        """Handle a control frame or play audio, which waits while the source is full."""
        match item:
            case Begin(playout):
                self._playout, self._sent, self._reported = playout, 0, -1
            case Clear():
                self.report()
                self._source.clear_queue()
                self._playout = ""
            case bytes():
                samples = len(item) // SAMPLE_WIDTH
                await self._source.capture_frame(
                    rtc.AudioFrame(item, OUTPUT_SAMPLE_RATE, 1, samples)
                )
                self._sent += samples
                self.report()

    def report(self) -> None:
        """Report what has been played: everything sent except what is still queued."""
        if self._playout:
            queued = round(self._source.queued_duration * OUTPUT_SAMPLE_RATE)
            self._reported = max(0, self._sent - queued)
            self._tell(Played(self._playout, self._reported))
