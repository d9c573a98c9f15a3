"""A person's speech is reported sentence by sentence, each under its own segment id."""

import asyncio
from typing import Any

from livekit.agents import stt

from agent.answers import Responder
from agent.conversation import Conversation, Minds
from agent_bridge.client.worker import StartJob
from tests.voice.hearing.test_hearing import KINDS, Recogniser
from tests.voice.hearing.test_listening import DeafLine
from tests.voice.server import Notes, Server


class Dictation(stt.STT[Any]):
    """A recogniser that returns what a test queues."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.recogniser = Recogniser()

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, **_: Any) -> Any:
        return self.recogniser


def said(notes: Notes) -> list[tuple[str, str, bool]]:
    return [
        (utterance.segment, utterance.text, utterance.final)
        for _, utterance in notes.utterances
        if utterance.role == "USER"
    ]


async def test_the_interims_of_a_sentence_have_the_name_of_its_final(server: Server) -> None:
    """Interims and final form one line on the page; the next sentence has another id."""
    job = StartJob(
        session="ses_a",
        attempt=1,
        agent_name="voxql",
        bridge_token=server.tokens.bridge("ses_a", 1),
        audio_token="",
        url=server.url,
    )
    dictation = Dictation()
    notes = server.notebook.of("ses_a")
    conversation = Conversation(job, Minds(Responder(), dictation, None), lambda _: DeafLine())
    running = asyncio.create_task(conversation.run())
    await server.notebook.until(lambda: notes.is_ready)

    sentences = (
        (KINDS.INTERIM_TRANSCRIPT, "the old"),
        (KINDS.INTERIM_TRANSCRIPT, "the old train"),
        (KINDS.FINAL_TRANSCRIPT, "The old train left."),
        (KINDS.INTERIM_TRANSCRIPT, "so"),
        (KINDS.FINAL_TRANSCRIPT, "So did I."),
    )
    for kind, text in sentences:
        dictation.recogniser.hears(kind, text)
        # One at a time: an interim that a newer one overtakes is not sent.
        await server.notebook.until(lambda: said(notes) and said(notes)[-1][1] == text)  # noqa: B023

    assert [(text, final) for _, text, final in said(notes)] == [
        (text, kind is KINDS.FINAL_TRANSCRIPT) for kind, text in sentences
    ]
    first, second = said(notes)[0][0], said(notes)[3][0]
    assert [name for name, _, _ in said(notes)] == [first, first, first, second, second]
    assert first != second
    dictation.recogniser.events.put_nowait(None)
    server.stop("ses_a")
    await running
