"""Writes answers to typed lines as fast as the model produces them, besides speaking them.

A person who types also reads. They do not wait for the voice, and interrupting the voice does not
retract what they have read.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from livekit.agents import FlushSentinel, llm

Piece = llm.ChatChunk | str | FlushSentinel
"""What livekit's `llm_node` yields."""


@dataclass(frozen=True, slots=True)
class Said:
    """The part of a reply that the person has heard or read so far."""

    text: str
    final: bool
    interrupted: bool = False
    written: bool = False
    """The reply answers a typed line, or nobody was there to hear it."""


Tell = Callable[[Said], None]


@dataclass
class Answer:
    """The answer to one typed line."""

    key: str
    text: str = ""
    is_over: bool = False
    """Its final was reported, or nothing was written."""


class Writing:
    """Follows a model's answers to typed lines, one at a time.

    Args:
        tell: reports what has been written.
        written: called with the key of each line whose answer is complete.
    """

    def __init__(self, tell: Tell, written: Callable[[str], None]) -> None:
        self._tell = tell
        self._written = written
        self._by_message: dict[str, Answer] = {}
        self._by_speech: dict[str, Answer] = {}

    def expect(self, key: str, message: llm.ChatMessage, speech: Any) -> None:
        """Note that a `SpeechHandle` answers the typed line in `message`."""
        answer = self._by_message[message.id] = self._by_speech[speech.id] = Answer(key)

        def done(_: Any) -> None:
            self._end(answer, interrupted=True)
            self._by_message.pop(message.id, None)
            self._by_speech.pop(speech.id, None)

        speech.add_done_callback(done)

    def of(self, speech: Any) -> Answer | None:
        """Return the answer that a `SpeechHandle` speaks; None if it answers no typed line."""
        return None if speech is None else self._by_speech.get(speech.id)

    async def follow(
        self, context: llm.ChatContext, pieces: AsyncIterable[Piece]
    ) -> AsyncIterator[Piece]:
        """Pass on a model's answer; write it as well if it answers a typed line."""
        answer = self._by_message.pop(_last_question(context), None)
        if answer is None:
            async for piece in pieces:
                yield piece
            return
        try:
            async for piece in pieces:
                self._add(answer, _text(piece))
                yield piece
            self._end(answer, interrupted=False)
        finally:
            self._end(answer, interrupted=True)

    def settle(self) -> None:
        """Report what has been written of incomplete answers as final."""
        for answer in list(self._by_speech.values()):
            self._end(answer, interrupted=True)

    def _add(self, answer: Answer, text: str) -> None:
        answer.text += text
        if text and answer.text.strip() and not answer.is_over:
            self._tell(Said(answer.text.strip(), final=False, written=True))

    def _end(self, answer: Answer, *, interrupted: bool) -> None:
        if answer.is_over:
            return
        answer.is_over = True
        if text := answer.text.strip():
            self._tell(Said(text, final=True, interrupted=interrupted, written=True))
            if not interrupted:
                self._written(answer.key)


def _last_question(context: llm.ChatContext) -> str:
    """Return the id of the person's last message; empty if there is none."""
    messages = (item for item in reversed(context.items) if isinstance(item, llm.ChatMessage))
    return next((message.id for message in messages if message.role == "user"), "")


def _text(piece: Piece) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, llm.ChatChunk) and piece.delta is not None:
        return piece.delta.content or ""
    return ""
