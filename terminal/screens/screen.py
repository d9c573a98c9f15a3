"""Shows a conversation while it goes on: redrawn on a terminal, line by line elsewhere."""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from terminal.client.transcript import Transcript, TranscriptLine

_COLOURS = {"USER": "bold cyan", "AGENT": "bold green"}
STATES = {
    "INITIALIZING": "The agent is getting ready",
    "LISTENING": "The agent is listening",
    "THINKING": "The agent is thinking",
    "SPEAKING": "The agent is speaking",
}


class Screen(Protocol):
    """Shows the conversation."""

    def __enter__(self) -> Self:
        """Start showing it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and leave the conversation on the screen."""

    def show(self, transcript: Transcript) -> None:
        """Show what is new."""

    def state(self, state: str | None) -> None:
        """Show the agent's state."""

    def note(self, text: str) -> None:
        """Show a note about the conversation."""

    def has_shown(self, line: TranscriptLine) -> bool:
        """Whether this line has been printed exactly like this."""
        ...


def screen_for(console: Console, *, types: bool, echoes: bool = False) -> Screen:
    """Return the screen to use when there is no prompt.

    Args:
        console: where to print.
        types: whether the person types; typed and redrawn text would mix.
        echoes: whether the terminal echoes what is typed.
    """
    if console.is_terminal and not types:
        return LiveScreen(console)
    return PlainScreen(console, hides_typed=types and echoes)


class _Latched:
    """Tracks printed finals: each is printed after all earlier lines, and again if it changes."""

    def __init__(self) -> None:
        self._printed: dict[str, TranscriptLine] = {}

    def take(self, lines: Iterable[TranscriptLine]) -> list[TranscriptLine]:
        """Return the lines to print now."""
        ready: list[TranscriptLine] = []
        is_open = False
        for line in lines:
            before = self._printed.get(line.key)
            if before is not None:
                # An agent may learn later how much of it was heard.
                if (before.text, before.is_interrupted) != (line.text, line.is_interrupted):
                    ready.append(line)
            elif not line.is_final or is_open:
                is_open = True
                continue
            else:
                ready.append(line)
        self._printed |= {line.key: line for line in ready}
        return ready

    def has(self, line: TranscriptLine) -> bool:
        """Whether this line has been printed and has not changed since."""
        before = self._printed.get(line.key)
        return before is not None and (before.role, before.shown) == (line.role, line.shown)

    def rest(self, lines: Iterable[TranscriptLine]) -> list[TranscriptLine]:
        """Return the lines that have not been printed."""
        return [line for line in lines if line.key not in self._printed]


class PlainScreen:
    """Prints each line once its words are settled.

    Args:
        console: where to print.
        hides_typed: whether to leave out typed lines, which the terminal has already echoed.
    """

    def __init__(self, console: Console, *, hides_typed: bool = False) -> None:
        self._console = console
        self._hides_typed = hides_typed
        self._latched = _Latched()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, transcript: Transcript) -> None:
        """Print the settled lines."""
        for line in self._latched.take(transcript.lines):
            if not (self._hides_typed and line.role == "USER" and line.source == "TYPED"):
                print_line(self._console, line)

    def state(self, state: str | None) -> None:
        """Print nothing: past states are of no interest."""

    def note(self, text: str) -> None:
        """Print the note."""
        self._console.print(Text(text, style="dim"))

    def has_shown(self, line: TranscriptLine) -> bool:
        """Whether this line has been printed exactly like this."""
        return self._latched.has(line)


class LiveScreen:
    """Redraws the lines that may still change; settled lines scroll up above them."""

    def __init__(self, console: Console) -> None:
        self._latched = _Latched()
        self._state: str | None = None
        self._open: list[TranscriptLine] = []
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.update(Group(*map(row, self._open)))
        self._live.transient = not self._open
        self._live.__exit__(kind, error, trace)

    def show(self, transcript: Transcript) -> None:
        """Print the settled lines, and redraw the rest below them."""
        settled = self._latched.take(transcript.lines)
        self._open = self._latched.rest(transcript.lines)
        # Draw first, because each printed line redraws what is below it.
        self._draw()
        for line in settled:
            self._live.console.print(row(line))

    def state(self, state: str | None) -> None:
        """Redraw the status line at the bottom."""
        self._state = state
        self._draw()

    def note(self, text: str) -> None:
        """Print the note above the lines that may still change."""
        self._live.console.print(Text(text, style="dim"))

    def has_shown(self, line: TranscriptLine) -> bool:
        """Whether this line has been printed exactly like this."""
        return self._latched.has(line)

    def _draw(self) -> None:
        state = STATES.get(self._state or "", "The agent is away")
        status = Text(f"({state}. Ctrl-C ends and saves.)", style="dim italic")
        self._live.update(Group(*map(row, self._open), status), refresh=True)


def print_line(console: Console, line: TranscriptLine) -> None:
    """Print an utterance; to a file or a pipe, print it as one line of any length."""
    if console.is_terminal:
        console.print(row(line))
    else:
        console.print(Text(f"{line.speaker:5}  {line.shown}"), soft_wrap=True)


def row(line: TranscriptLine) -> RenderableType:
    """Return an utterance as a line that begins with its speaker; interims are dimmed."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=5)
    grid.add_column(overflow="fold")
    text = Text(line.text, style="" if line.is_final else "dim")
    if line.is_interrupted:
        text.append(" [interrupted]", style="yellow")
    grid.add_row(Text(line.speaker, style=_COLOURS.get(line.role, "bold")), text)
    return grid
