"""Stand-ins for speech and language models, so that the LiveKit examples need no API keys.

In your own agent, use plugins instead: `deepgram.STT()`, `openai.LLM()`, `cartesia.TTS()`.
Works with every version of livekit-agents that voxql_bridge supports, 1.2 and newer.
"""

import asyncio
import math
import re
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

RATE = 24_000
LOUD = 500
WORD_SECONDS = 0.25
SILENCE_SECONDS = 0.5


class Ears(stt.STT):  # type: ignore[type-arg] # not generic in old versions
    """Recognises its next sentence whenever there is sound, a word each quarter of a second."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.sentences = iter(sentences)

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        raise NotImplementedError("these ears only stream")

    def stream(self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any) -> "_Hearing":
        """Listen to one person."""
        return _Hearing(self, conn_options)


class _Hearing(stt.RecognizeStream):
    def __init__(self, ears: Ears, conn_options: Any) -> None:
        super().__init__(stt=ears, conn_options=conn_options)
        # A handoff may open a new stream, which continues with the next sentence.
        self._sentences = ears.sentences

    async def _run(self) -> None:
        words: list[str] = []
        sounded = silent = 0.0
        told = 0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            if max(frame.data[::16], default=0) > LOUD:
                if not words:
                    words = next(self._sentences, "I have nothing more to say.").split()
                    self._tell(stt.SpeechEventType.START_OF_SPEECH)
                sounded, silent = sounded + frame.duration, 0.0
            elif words:
                silent += frame.duration
            heard = min(len(words), int(sounded / WORD_SECONDS))
            if words and silent > SILENCE_SECONDS:
                self._tell(stt.SpeechEventType.FINAL_TRANSCRIPT, " ".join(words))
                self._tell(stt.SpeechEventType.END_OF_SPEECH)
                words, sounded, silent, told = [], 0.0, 0.0, 0
            elif heard > told:
                told = heard
                self._tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, " ".join(words[:heard]))

    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        data = [stt.SpeechData(language="en", text=text)] if text else []  # type: ignore[arg-type] # a str in old versions
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=data))


Answer = str | dict[str, str]
"""What to say, or a tool to call: {"tool": name}."""


class Mind(llm.LLM):  # type: ignore[type-arg] # not generic in old versions
    """Answers with a function of the last message and of whether a tool sent it."""

    def __init__(self, answer: Callable[[str, bool], Answer]) -> None:
        super().__init__()
        self.answer = answer

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: Any = None,
        conn_options: Any = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> "_Thought":
        """Answer the last message."""
        return _Thought(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Thought(llm.LLMStream):
    async def _run(self) -> None:
        mind = self._llm
        assert isinstance(mind, Mind)
        last = [
            item
            for item in self._chat_ctx.items
            if item.type == "function_call_output"
            or (item.type == "message" and item.role == "user")
        ][-1:]
        told = [i.output if i.type == "function_call_output" else i.text_content for i in last]
        by_tool = bool(last) and last[0].type == "function_call_output"
        answer = mind.answer("".join(text or "" for text in told), by_tool)
        name = uuid.uuid4().hex
        if isinstance(answer, dict):
            call = llm.FunctionToolCall(name=answer["tool"], arguments="{}", call_id=name)
            delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
            self._event_ch.send_nowait(llm.ChatChunk(id=name, delta=delta))
            return
        for word in re.findall(r"\s*\S+", answer):
            delta = llm.ChoiceDelta(role="assistant", content=word)
            self._event_ch.send_nowait(llm.ChatChunk(id=name, delta=delta))
            await asyncio.sleep(0)


class Voice(tts.TTS):  # type: ignore[type-arg] # not generic in old versions
    """Hums for a quarter of a second for each word."""

    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=RATE, num_channels=1)

    def synthesize(
        self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS
    ) -> "_Humming":
        """Hum a text."""
        return _Humming(tts=self, input_text=text, conn_options=conn_options)


class _Humming(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid.uuid4().hex, sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        for _ in self._input_text.split():
            output_emitter.push(hum(WORD_SECONDS))
        output_emitter.flush()


def hum(seconds: float, rate: int = RATE) -> bytes:
    """Return a tone that swells and fades, as 16-bit samples."""
    count = int(seconds * rate)
    wave = (
        8_000 * math.sin(math.pi * at / count) * math.sin(2 * math.pi * 220 * at / rate)
        for at in range(count)
    )
    return struct.pack(f"<{count}h", *map(int, wave))
