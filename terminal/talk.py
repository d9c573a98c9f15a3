"""`voxql talk`: holds a conversation in the terminal, saves it, and reads it back."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from terminal.audio import wav
from terminal.audio.source import Nothing, Playback, Source, open_microphone
from terminal.audio.speaker import open_speaker
from terminal.audio.transport import AudioClient
from terminal.client.chat import LOADING_S, Chat, with_agent
from terminal.client.server import GraphQLClient
from terminal.completion import answered, typed_out
from terminal.refusal import CannotTalk, RefusedByServer
from terminal.screens.keyboard import Keyboard
from terminal.screens.screen import Screen, print_line, screen_for

if TYPE_CHECKING:
    from terminal.screens.prompt import Prompt

OK: Final = 0
FAILED: Final = 1
_DRAIN_S: Final = 15.0
"""How long to wait for the agent's last words before the history is read."""


def run(url: str, file: Path | None = None, loading_s: float = LOADING_S) -> int:
    """Talk until the person ends the conversation, or the recording has been answered.

    Args:
        url: the server's address.
        file: a WAV file to play; None for the microphone, or the keyboard.
        loading_s: seconds to wait for an absent agent.

    Returns:
        The exit status: 0 when the conversation was saved and read back.
    """
    console = Console(highlight=False)
    try:
        return asyncio.run(_talk(console, url, file, loading_s))
    except (CannotTalk, RefusedByServer) as refusal:
        Console(stderr=True, highlight=False).print(Text(f"voxql: {refusal}"), soft_wrap=True)
        return FAILED


async def _talk(console: Console, url: str, file: Path | None, loading_s: float) -> int:
    recording = wav.read(file) if file is not None else None
    server = GraphQLClient(url, os.environ.get("VOXQL_TOKEN"))
    await server.sign_in()
    source: Source | None = Playback(recording) if recording is not None else None
    if source is None and sys.stdin.isatty():
        source = open_microphone()
    conversation = _Conversation(console, await Chat.start(server), source, server, loading_s)
    try:
        await conversation.hold()
    finally:
        conversation.close()
    return await _saved(console, conversation)


class _Conversation:
    """Runs all concurrent parts of a conversation until it is over."""

    def __init__(
        self,
        console: Console,
        chat: Chat,
        source: Source | None,
        server: GraphQLClient,
        loading_s: float,
    ) -> None:
        self.chat = chat
        self.types = source is None
        self._loading_s = loading_s
        self._source: Source = source or Nothing()
        self._speaker = open_speaker()
        self._transport = AudioClient(server, self._source, self._speaker, chat.join)
        self._stop = asyncio.Event()
        self._prompt = self._prompt_on(console)
        self.screen: Screen = self._prompt or screen_for(
            console, types=self.types, echoes=_types_on(console)
        )

    def _prompt_on(self, console: Console) -> "Prompt | None":
        """Return a prompt if the person types on a terminal that supports one."""
        if not self.types or not _types_on(console) or console.is_dumb_terminal:
            return None
        from terminal.screens.prompt import Prompt

        return Prompt(console, self._stop)

    def close(self) -> None:
        """Release the devices."""
        self._source.close()
        self._speaker.close()

    async def hold(self) -> None:
        """Talk until the conversation is over.

        Raises:
            CannotTalk: when there is no agent, or the connection is lost for good.
        """
        stopping = asyncio.create_task(self._stop.wait())
        work = [
            asyncio.create_task(one)
            for one in (self.chat.watch_state(), self.chat.watch_transcript(), self._talk())
        ]
        with self.screen, _interrupts(self._stop):
            showing = asyncio.create_task(self._show())
            try:
                await _first(stopping, *work[:2], work[2])
            finally:
                await _cancel(showing, stopping, *work)
                self.screen.show(self.chat.transcript)

    async def _talk(self) -> None:
        await with_agent(self.chat, self.screen.note, self._loading_s)
        assert self.chat.media is not None
        carrying = asyncio.create_task(self._transport.run(self.chat.media))
        talking = asyncio.create_task(self._person())
        try:
            await _first(carrying, talking)
        finally:
            await _cancel(carrying, talking)

    async def _person(self) -> None:
        """Play the recording, send typed lines, or just let the person talk."""
        await self._transport.connected.wait()
        if isinstance(self._source, Playback):
            await answered(self.chat, self._transport, self._speaker, self._source)
        elif self.types:
            self.screen.note("Type what you want to say. Ctrl-D ends and saves.")
            async with self._prompt or Keyboard() as keyboard:
                await typed_out(self.chat, keyboard, self._speaker, self.screen.note)
        else:
            self.screen.note("Speak. Ctrl-C ends and saves.")
            await self.chat.ended.wait()

    async def _show(self) -> None:
        while True:
            self.chat.changed.clear()
            self.screen.state(self.chat.agent_state)
            self.screen.show(self.chat.transcript)
            await self.chat.changed.wait()


def _types_on(console: Console) -> bool:
    """Whether typed and printed text appear on the same terminal."""
    return console.is_terminal and sys.stdin.isatty()


async def _saved(console: Console, conversation: _Conversation) -> int:
    """Save, wait for the agent's last words, and print what the history then holds."""
    chat = conversation.chat
    if not await chat.save():
        console.print("Nothing was said, so there is nothing to save.")
        return OK
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await chat.watch_transcript()
    console.print(Text(f"\nSaved as {chat.id}. Your history, newest first:", style="bold"))
    history = await chat.history()
    for session in history.sessions:
        mark = "*" if session["id"] == chat.id else " "
        when = str(session["createdAt"])[:16].replace("T", " ")
        count = session["utteranceCount"]
        said = f"{count} utterance{'' if count == 1 else 's'}"
        console.print(Text(f"{mark} {when}  {session['title']}, {said}"))
    if history.total > len(history.sessions):
        console.print(Text(f"  and {history.total - len(history.sessions)} more"))
    if chat.is_guests:
        hint = (
            "Each run signs in a new guest. VOXQL_TOKEN=vox_… keeps conversations in your account."
        )
        console.print(Text(hint, style="dim"))
    lines = await chat.read_back()
    # Typed lines and their answers are still on the screen; spoken ones may have been redrawn.
    new = [
        line for line in lines if not (conversation.types and conversation.screen.has_shown(line))
    ]
    what = "" if new else f" all {len(lines)} lines, as they stand above."
    console.print(Text(f"\nRead back from the history:{what}", style="bold"))
    for line in new:
        print_line(console, line)
    kept = {(line.key, line.text) for line in lines}
    lost = [line for line in chat.transcript.lines if (line.key, line.text) not in kept]
    if lost:
        console.print(Text(f"{len(lost)} line(s) differ from what was seen here.", style="red"))
    return FAILED if lost else OK


@contextmanager
def _interrupts(stop: asyncio.Event) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end the conversation, which is then saved; a second one aborts."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in signals:
            with suppress(NotImplementedError):  # Windows, where Ctrl-C aborts
                loop.remove_signal_handler(number)

    def ask() -> None:
        stop.set()
        restore()

    for number in signals:
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, ask)
    try:
        yield
    finally:
        restore()


async def _first(*tasks: "asyncio.Task[Any]") -> None:
    """Wait until one task has ended, and raise its error if it failed."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
