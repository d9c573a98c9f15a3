"""A recogniser's output becomes utterances, each finished once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import stt

from agent.hearing import Heard, Hearing, PersonInput

KINDS = stt.SpeechEventType


class Recogniser:
    """A recogniser that returns what a test queues."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[stt.SpeechEvent | None] = asyncio.Queue()

    def hears(self, kind: stt.SpeechEventType, text: str) -> None:
        data = stt.SpeechData(language="en", text=text)  # type: ignore[arg-type] # as plugins do
        self.events.put_nowait(stt.SpeechEvent(type=kind, alternatives=[data]))

    def stream(self) -> "Recogniser":
        return self

    async def __aenter__(self) -> "Recogniser":
        return self

    async def __aexit__(self, *_: Any) -> None:
        pass

    def push_frame(self, frame: rtc.AudioFrame) -> None:
        pass

    def end_input(self) -> None:
        """Keep going: this recogniser is slow to finish."""

    def __aiter__(self) -> AsyncIterator[stt.SpeechEvent]:
        return self._events()

    async def _events(self) -> AsyncIterator[stt.SpeechEvent]:
        while (event := await self.events.get()) is not None:
            yield event


async def told_of(recogniser: Recogniser, patience: float, then: str | None) -> list[Heard]:
    """Hear half a sentence, finish within `patience` seconds, then let a late final arrive."""
    told: list[Heard] = []
    came = asyncio.Event()

    def tell(heard: Heard) -> None:
        told.append(heard)
        came.set()

    hearing = Hearing(recogniser, tell)  # type: ignore[arg-type] # the part of it that is used

    async def listen() -> None:
        async for _ in hearing.listen(PersonInput()):
            pass

    listening = asyncio.create_task(listen())
    recogniser.hears(KINDS.INTERIM_TRANSCRIPT, "the old train")
    await came.wait()
    if patience:
        recogniser.hears(KINDS.FINAL_TRANSCRIPT, "The old train left.")
        recogniser.events.put_nowait(None)
    await hearing.finish(patience)
    if then:
        recogniser.hears(KINDS.FINAL_TRANSCRIPT, then)
        recogniser.events.put_nowait(None)
    await listening
    return told


async def test_an_end_waits_for_the_final_of_what_is_being_said() -> None:
    """The final's words are better than the interim's."""
    told = await told_of(Recogniser(), patience=30, then=None)

    assert [(heard.text, heard.final) for heard in told] == [
        ("the old train", False),
        ("The old train left.", True),
    ]


async def test_a_final_that_comes_too_late_is_not_the_sentence_once_more() -> None:
    """The interim was made final already: the person must not read the sentence twice."""
    told = await told_of(Recogniser(), patience=0, then="The old train left.")

    assert [(heard.text, heard.final) for heard in told] == [
        ("the old train", False),
        ("the old train", True),
    ]
