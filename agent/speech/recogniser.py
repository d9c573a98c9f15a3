"""A livekit-agents recogniser built from a local voice detector, `Segmenter` and decoders."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from livekit import rtc
from livekit.agents import stt, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.agents.utils import AudioBuffer

from agent.speech.decoders import Decoders
from agent.speech.segmenter import (
    SAMPLE_RATE,
    Detector,
    Pcm,
    Segmenter,
    SegmenterEvent,
    SpeechBegan,
    TurnEnded,
    WordsHeard,
)

_STALLED: Final = 1.0
"""Seconds without any audio after which an utterance has ended, as with a muted microphone."""


class LocalRecogniser(stt.STT[str]):
    """Recognises speech in this process; one object serves any number of conversations.

    Args:
        decoders: turn audio into words.
        new_detector: creates a voice detector.
        model: the name of the model, for metrics.
        language: the language it understands, as a tag.
    """

    def __init__(
        self,
        decoders: Decoders,
        new_detector: Callable[[], Detector],
        *,
        model: str,
        language: str,
        interval: float = 0.25,
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True, interim_results=True, offline_recognize=True
            )
        )
        self.decoders = decoders
        self.new_detector = new_detector
        self.language = language
        self.interval = interval
        self._model = model

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._model

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return "local"

    async def _recognize_impl(
        self,
        buffer: AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        text = await self.decoders.decode(_pcm(utils.combine_frames(buffer)), False)
        data = stt.SpeechData(language=self.language, text=text)  # type: ignore[arg-type]
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> "_RecognizeStream":
        """Listen to one person."""
        return _RecognizeStream(self, conn_options)

    async def aclose(self) -> None:
        """Close the decoders."""
        self.decoders.close()


class _RecognizeStream(stt.RecognizeStream):
    """Reports one person's speech as the events of livekit-agents."""

    def __init__(self, recogniser: LocalRecogniser, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=recogniser, conn_options=conn_options, sample_rate=SAMPLE_RATE)
        self._recogniser = recogniser
        self._samples = 0
        self._arrived = time.time()

    async def _run(self) -> None:
        segmenter = Segmenter(
            self._recogniser.new_detector(),
            self._recogniser.decoders.decode,
            self._tell,
            interval=self._recogniser.interval,
        )
        watching = asyncio.create_task(self._finish_when_stalled(segmenter))
        try:
            async for item in self._input_ch:
                if isinstance(item, rtc.AudioFrame):
                    self._samples += item.samples_per_channel
                    self._arrived = time.time()
                    segmenter.hear(_pcm(item))
                else:
                    await segmenter.finish()
            await segmenter.finish()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await segmenter.close()

    async def _finish_when_stalled(self, segmenter: Segmenter) -> None:
        """End an utterance whose audio stops arriving; the segmenter itself only counts samples."""
        while True:
            await asyncio.sleep(_STALLED / 4)
            if segmenter.is_open and time.time() - self._arrived > _STALLED:
                await segmenter.finish()

    def _tell(self, event: SegmenterEvent) -> None:
        match event:
            case SpeechBegan():
                self._send(stt.SpeechEventType.START_OF_SPEECH, began=event.at)
            case TurnEnded():
                self._send(stt.SpeechEventType.END_OF_SPEECH, ended=event.at)
            case WordsHeard():
                kind = (
                    stt.SpeechEventType.FINAL_TRANSCRIPT
                    if event.final
                    else stt.SpeechEventType.INTERIM_TRANSCRIPT
                )
                self._send(kind, text=event.text, began=event.began, ended=event.ended)

    def _send(
        self, kind: stt.SpeechEventType, *, text: str = "", began: int = 0, ended: int = 0
    ) -> None:
        data = stt.SpeechData(
            language=self._recogniser.language,  # type: ignore[arg-type] # a str is converted
            text=text,
            confidence=1.0,
        )
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                kind,
                alternatives=[data] if text else [],
                speech_start_time=self._when(began) if began or text else None,
                speech_end_time=self._when(ended) if ended else None,
            )
        )

    def _when(self, sample: int) -> float:
        """Return the time at which a sample was spoken, from when the newest one arrived."""
        return self._arrived - (self._samples - sample) / SAMPLE_RATE


def _pcm(frame: rtc.AudioFrame) -> Pcm:
    pcm = np.frombuffer(frame.data, dtype=np.int16)
    if frame.num_channels > 1:
        pcm = pcm[:: frame.num_channels]
    return pcm
