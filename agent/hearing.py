"""Feeds the person's audio to livekit, and turns what it recognises into transcripts."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from livekit import rtc
from livekit.agents import stt
from livekit.agents.voice import io

from agent_bridge.protocol.audio import INPUT_SAMPLE_RATE, SAMPLE_WIDTH

_BOUND: Final = 30 * INPUT_SAMPLE_RATE * SAMPLE_WIDTH
"""Most bytes of audio buffered while this process is busy; the server keeps as much."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The interim or final transcript of one utterance."""

    text: str
    final: bool
    began: datetime
    ended: datetime | None
    confidence: float | None = None
    language: str | None = None


class PersonInput(io.AudioInput):
    """The person's audio, as livekit reads it."""

    def __init__(self) -> None:
        super().__init__(label="person")
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._arrived = asyncio.Event()

    def put(self, pcm: bytes) -> None:
        """Buffer audio; drop the oldest when the buffer is full."""
        self._waiting.append(pcm)
        self._size += len(pcm)
        while self._size > _BOUND:
            self._size -= len(self._waiting.popleft())
        self._arrived.set()

    async def __anext__(self) -> rtc.AudioFrame:
        """Wait for the next piece of audio and return it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        pcm = self._waiting.popleft()
        self._size -= len(pcm)
        return rtc.AudioFrame(pcm, INPUT_SAMPLE_RATE, 1, len(pcm) // SAMPLE_WIDTH)


class Hearing:
    """Runs a recogniser on the person's audio and reports each utterance as it grows.

    Args:
        recogniser: any streaming recogniser of livekit-agents.
        tell: receives the transcripts; each utterance gets one final, which is never retracted.
    """

    def __init__(self, recogniser: stt.STT[Any], tell: Callable[[Heard], None]) -> None:
        self._recogniser = recogniser
        self._tell = tell
        self._began: datetime | None = None
        self._newest: Heard | None = None
        self._was_settled_early = False
        self._ends = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    async def listen(self, sound: AsyncIterator[rtc.AudioFrame]) -> AsyncIterator[stt.SpeechEvent]:
        """Yield the recogniser's events until the audio ends or `finish` is called."""
        self._ended.clear()
        try:
            async with self._recogniser.stream() as stream:
                feeding = asyncio.create_task(self._feed(sound, stream))
                try:
                    async for event in stream:
                        self._take(event)
                        yield event
                finally:
                    feeding.cancel()
                    await asyncio.gather(feeding, return_exceptions=True)
        finally:
            self._settle()
            self._ended.set()

    async def finish(self, timeout: float) -> None:
        """End the input, and wait up to `timeout` seconds for the last finals."""
        self._ends.set()
        try:
            async with asyncio.timeout(timeout):
                await self._ended.wait()
        except TimeoutError:
            # The recogniser's own final may still come and would repeat this sentence.
            self._was_settled_early = self._newest is not None
            self._settle()

    async def _feed(
        self, sound: AsyncIterator[rtc.AudioFrame], stream: stt.RecognizeStream
    ) -> None:
        ends = asyncio.create_task(self._ends.wait())
        reading = asyncio.create_task(_forward(sound, stream))
        try:
            await asyncio.wait({ends, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ends, reading):
                task.cancel()
            await asyncio.gather(ends, reading, return_exceptions=True)
            stream.end_input()

    def _take(self, event: stt.SpeechEvent) -> None:
        kinds = stt.SpeechEventType
        if event.type not in (kinds.INTERIM_TRANSCRIPT, kinds.FINAL_TRANSCRIPT):
            return
        if self._was_settled_early:
            # Everything up to the recogniser's own final is still that sentence.
            self._was_settled_early = event.type is not kinds.FINAL_TRANSCRIPT
            return
        if not event.alternatives or not event.alternatives[0].text.strip():
            return
        best = event.alternatives[0]
        now = datetime.now(UTC)
        if self._began is None:
            self._began = _moment(event.speech_start_time) or now
        final = event.type is kinds.FINAL_TRANSCRIPT
        heard = Heard(
            best.text.strip(),
            final,
            self._began,
            (_moment(event.speech_end_time) or now) if final else None,
            language=str(best.language) or None,
        )
        self._newest = None if final else heard
        self._began = None if final else self._began
        self._tell(heard)

    def _settle(self) -> None:
        """Report an interim as final if no final will follow; it must not stay open."""
        if self._newest is not None:
            newest, self._newest, self._began = self._newest, None, None
            self._tell(Heard(newest.text, True, newest.began, datetime.now(UTC)))


async def _forward(sound: AsyncIterator[rtc.AudioFrame], stream: stt.RecognizeStream) -> None:
    async for frame in sound:
        stream.push_frame(frame)


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
