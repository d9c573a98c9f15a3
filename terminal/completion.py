"""Detects the end of a conversation that nobody ends by hand."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final, Protocol, Self

from terminal.audio.source import Playback
from terminal.audio.speaker import Speaker
from terminal.audio.transport import AudioClient
from terminal.client.chat import Chat
from terminal.refusal import RefusedByServer

GREETING_S: Final = 1.5
"""Seconds to wait for a greeting, which the agent may then finish."""
SETTLED_S: Final = 1.5
"""Seconds without activity after which an answer counts as complete."""
UNANSWERED_S: Final = 10.0
"""Seconds without activity after which no answer is expected any more."""
_LOOK_S: Final = 0.1


class Typing(Protocol):
    """Provides typed lines while its context is entered."""

    @property
    def is_interactive(self) -> bool:
        """Whether a person is typing, and reading each answer before the next line."""
        ...

    async def __aenter__(self) -> Self:
        """Start reading."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Stop reading."""

    async def next(self) -> str | None:
        """Wait for the next line that isn't blank; None at the end."""
        ...


async def answered(
    chat: Chat, transport: AudioClient, speaker: Speaker, playback: Playback
) -> None:
    """Play a recording and return when the agent has answered it, or obviously won't."""
    await _greeted(chat, transport, speaker)
    playback.play()
    await playback.ended.wait()
    await _settled(chat, speaker)


async def typed_out(
    chat: Chat, keyboard: Typing, speaker: Speaker, note: Callable[[str], None]
) -> None:
    """Send typed lines, and return when the last one has been answered.

    `note` tells the person why a line could not be sent.
    """
    key = None
    while (text := await keyboard.next()) is not None:
        try:
            key = f"typed_{secrets.token_hex(8)}"
            await chat.type(key, text)
            if not keyboard.is_interactive:
                await _settled(chat, speaker, key)
        except RefusedByServer as refused:
            # The conversation ended by itself; what was said can still be saved.
            if chat.ended.is_set():
                return
            if refused.code != "BAD_USER_INPUT":
                raise
            note(f"Not sent. {refused.message}")
    if any(line.role == "USER" for line in chat.transcript.lines):
        await _settled(chat, speaker, key)


async def _greeted(chat: Chat, transport: AudioClient, speaker: Speaker) -> None:
    waited = 0.0
    while waited < GREETING_S or not _is_quiet(chat, speaker):
        if chat.ended.is_set() or waited > 3 * UNANSWERED_S:
            return
        await asyncio.sleep(_LOOK_S)
        waited += _LOOK_S
        if transport.replies and _is_quiet(chat, speaker):
            return


async def _settled(chat: Chat, speaker: Speaker, key: str | None = None) -> None:
    """Return when the last line has its complete answer, or nothing happens any more.

    Until the line with this key arrives, an answer belongs to the line before it.
    """
    quiet = waited = 0.0
    seen: object = None
    while not chat.ended.is_set():
        await asyncio.sleep(_LOOK_S)
        now = [(line.key, line.revision) for line in chat.transcript.lines]
        is_quiet = _is_quiet(chat, speaker) and now == seen
        seen = now
        quiet = quiet + _LOOK_S if is_quiet else 0.0
        waited = waited + _LOOK_S if is_quiet else 0.0
        has_come = key is None or any(line.key == key for line in chat.transcript.lines)
        if has_come and chat.transcript.is_answered and quiet >= SETTLED_S:
            return
        if waited >= UNANSWERED_S:
            return


def _is_quiet(chat: Chat, speaker: Speaker) -> bool:
    """Whether nobody is speaking or thinking, and all speech has been recognised."""
    is_waiting = chat.agent_state in (None, "LISTENING")
    return is_waiting and speaker.is_silent and chat.transcript.is_settled
