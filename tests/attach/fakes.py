"""Fakes of the livekit-agents parts that an attachment uses, and of its events."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from enum import Enum
from types import SimpleNamespace
from typing import Any

from livekit import rtc

ME = "agent-1"
PERSON = "person-1"


class CloseReason(str, Enum):  # noqa: UP042 - like livekit-agents
    """Why a session closed."""

    ERROR = "error"
    JOB_SHUTDOWN = "job_shutdown"
    PARTICIPANT_DISCONNECTED = "participant_disconnected"
    USER_INITIATED = "user_initiated"


class FakeSpeech:
    """A reply in progress."""

    def __init__(self) -> None:
        self.interrupted = False
        self._callbacks: list[Callable[[FakeSpeech], None]] = []

    def add_done_callback(self, callback: Callable[["FakeSpeech"], None]) -> None:
        self._callbacks.append(callback)

    def end(self, *, interrupted: bool = False) -> None:
        self.interrupted = interrupted
        for callback in self._callbacks:
            callback(self)


class FakeSession(rtc.EventEmitter[str]):
    """An AgentSession whose events a test emits."""

    def __init__(self, agent_state: str = "initializing") -> None:
        super().__init__()
        self.agent_state = agent_state
        self.output = SimpleNamespace(audio=object(), audio_enabled=True)
        self.asked: list[str] = []
        self.answers: list[FakeSpeech] = []
        self._was_asked = asyncio.Event()
        self.interruptions = 0
        self.closed = False

    def state(self, state: str) -> None:
        event = SimpleNamespace(old_state=self.agent_state, new_state=state)
        self.agent_state = state
        self.emit("agent_state_changed", event)

    def heard(self, text: str, final: bool = False, **more: Any) -> None:
        event = SimpleNamespace(transcript=text, is_final=final, created_at=time.time(), **more)
        self.emit("user_input_transcribed", event)

    def replied(self, text: str, *, interrupted: bool = False, began: float | None = None) -> None:
        created_at = time.time() if began is None else began
        self.item(
            role="assistant", text_content=text, interrupted=interrupted, created_at=created_at
        )

    def item(self, **members: Any) -> None:
        self.emit("conversation_item_added", SimpleNamespace(item=SimpleNamespace(**members)))

    def close(self, reason: CloseReason) -> None:
        self.closed = True
        self.emit("close", SimpleNamespace(reason=reason, error=None))

    async def aclose(self) -> None:
        self.close(CloseReason.USER_INITIATED)

    async def interrupt(self) -> None:
        self.interruptions += 1

    def generate_reply(self, *, user_input: str) -> FakeSpeech:
        self.asked.append(user_input)
        self.answers.append(FakeSpeech())
        self._was_asked.set()
        return self.answers[-1]

    async def was_asked(self, times: int) -> None:
        """Wait until this many replies were requested."""
        async with asyncio.timeout(30):
            while len(self.asked) < times:
                self._was_asked.clear()
                await self._was_asked.wait()


class FakeWriter:
    """One text stream."""

    def __init__(self, log: list[tuple[str, str]], segment: str) -> None:
        self._log = log
        self._segment = segment

    async def write(self, text: str) -> None:
        self._log.append((self._segment, text))

    async def aclose(self, *, attributes: dict[str, str] | None = None) -> None:
        self._log.append((self._segment, "closed"))


class FakeParticipant:
    """The agent in its room."""

    def __init__(self) -> None:
        self.identity = ME
        self.sent: list[tuple[str, str]] = []

    async def stream_text(self, **options: Any) -> FakeWriter:
        return FakeWriter(self.sent, options["attributes"]["lk.segment_id"])


class FakeRoom(rtc.EventEmitter[str]):
    """A room, and the text that livekit-agents shows there."""

    def __init__(self, connected: bool = True) -> None:
        super().__init__()
        self.connected = connected
        self.participant = FakeParticipant()
        self.writers: dict[str, Any] = {}

    @property
    def local_participant(self) -> FakeParticipant:
        if not self.connected:
            raise RuntimeError("cannot access local participant before connecting")
        return self.participant

    def isconnected(self) -> bool:
        return self.connected

    def connection(self, connected: bool) -> None:
        self.connected = connected
        self.emit("connection_state_changed", int(connected))

    async def show_person(self, segment: str, text: str, final: bool = False) -> None:
        """Send each interim as a separate stream with the whole text, as livekit-agents does."""
        writer = await self._stream(segment, PERSON, final)
        await writer.write(text)
        await writer.aclose()

    async def show_agent(self, segment: str, piece: str) -> None:
        """Send the text in pieces of one stream, as livekit-agents does."""
        if segment not in self.writers:
            self.writers[segment] = await self._stream(segment, ME, final=False)
        await self.writers[segment].write(piece)

    async def end_agent(self, segment: str) -> None:
        writer = self.writers.pop(segment)
        await writer.aclose(attributes={"lk.transcription_final": "true"})

    async def _stream(self, segment: str, sender: str, final: bool) -> Any:
        return await self.participant.stream_text(
            topic="lk.transcription",
            sender_identity=sender,
            attributes={
                "lk.segment_id": segment,
                "lk.transcription_final": str(final).lower(),
            },
        )


class FakeContext:
    """A job."""

    def __init__(self, metadata: object, room: FakeRoom | None = None) -> None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        self.job = SimpleNamespace(metadata=text)
        self.room = room or FakeRoom()
        self.callbacks: list[Callable[[str], Coroutine[None, None, None]]] = []
        self.ended: list[str] = []

    def add_shutdown_callback(self, callback: Callable[[str], Coroutine[None, None, None]]) -> None:
        self.callbacks.append(callback)

    def shutdown(self, reason: str = "") -> None:
        self.ended.append(reason)
