"""The prompt for typed lines on a terminal, below the conversation."""

import asyncio
import os
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console

from terminal.client.transcript import SPEAKERS, Transcript, TranscriptLine
from terminal.screens.screen import STATES, PlainScreen

_STYLES: Final = {"USER": "bold ansicyan", "AGENT": "bold ansigreen"}


class Prompt(PlainScreen):
    """A screen with a prompt at the bottom, which keeps printed and typed text apart.

    The prompt looks like a line of the person's. A typed line disappears from it when it is sent,
    and is printed as soon as the server reports it. So each line appears once, and in order.

    Args:
        console: the terminal.
        stop: set by Ctrl-C, which ends the conversation and saves it.
    """

    is_interactive = True

    def __init__(self, console: Console, stop: asyncio.Event) -> None:
        super().__init__(console)
        self._stop = stop
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()
        self._open: list[TranscriptLine] = []
        self._state: str | None = None
        self._stack = ExitStack()
        # Otherwise prompt_toolkit asks for the cursor position, and warns if it gets no answer.
        os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")
        self._session: PromptSession[str] = PromptSession(
            self._message, erase_when_done=True, key_bindings=self._keys()
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(patch_stdout(raw=True))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def next(self) -> str | None:
        """Wait for the next line that isn't blank; None at the end (Ctrl-D)."""
        return await self._typed.get()

    async def _read(self) -> None:
        while True:
            try:
                text = (await self._session.prompt_async(handle_sigint=False)).strip()
            except EOFError:
                self._typed.put_nowait(None)
                return
            if text:
                self._typed.put_nowait(text)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c")
        def _(_event: KeyPressEvent) -> None:
            self._stop.set()

        return keys

    def show(self, transcript: Transcript) -> None:
        """Print settled lines; show what is still being said above the prompt."""
        super().show(transcript)
        self._open = self._latched.rest(transcript.lines)
        self._session.app.invalidate()

    def state(self, state: str | None) -> None:
        """Show above the prompt that the agent is thinking."""
        self._state = state
        self._session.app.invalidate()

    def _message(self) -> StyleAndTextTuples:
        shown: StyleAndTextTuples = []
        for line in self._open:
            shown += [(_STYLES.get(line.role, "bold"), _label(line.speaker))]
            shown += [("ansibrightblack", f"{line.shown}\n")]
        if self._state == "THINKING" and not self._open:
            shown += [("italic ansibrightblack", f"({STATES[self._state]}.)\n")]
        return [*shown, (_STYLES["USER"], _label(SPEAKERS["USER"]))]


def _label(speaker: str) -> str:
    return f"{speaker:5}  "
