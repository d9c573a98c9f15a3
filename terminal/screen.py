"""Shows a conversation while it goes on: in place on a terminal, line by line elsewhere."""

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from terminal.transcript import Line, Transcript

_COLOURS = {"USER": "bold cyan", "AGENT": "bold green"}
STATES = {
    "INITIALIZING": "The agent is getting ready",
    "LISTENING": "The agent is listening",
    "THINKING": "The agent is thinking",
    "SPEAKING": "The agent is speaking",
}


class Screen(Protocol):
    """Where the conversation is seen."""

    def __enter__(self) -> Self:
        """Begin to show it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is shown on the screen."""

    def show(self, transcript: Transcript) -> None:
        """Show what is new."""

    def state(self, state: str | None) -> None:
        """Show what the agent does."""

    def note(self, text: str) -> None:
        """Say something about the conversation."""

    def has_shown(self, line: Line) -> bool:
        """Whether this line has been printed just so."""
        ...


def screen_for(console: Console, *, types: bool, echoes: bool = False) -> Screen:
    """Return the screen that fits where there is no prompt.

    Args:
        console: where to print.
        types: whether the person types: what is typed and what is redrawn would mix.
        echoes: whether that terminal echoes what is typed.
    """
    if console.is_terminal and not types:
        return LiveScreen(console)
    return PlainScreen(console, hides_typed=types and echoes)


class _Latched:
    """Which finals have been printed; a line is printed once, after everything before it."""

    def __init__(self) -> None:
        self._printed: dict[str, Line] = {}

    def take(self, lines: Iterable[Line]) -> list[Line]:
        """Return what is to be printed now."""
        ready: list[Line] = []
        is_open = False
        for line in lines:
            before = self._printed.get(line.key)
            if before is not None:
                # An agent may learn later how far it was really heard.
                if (before.text, before.is_interrupted) != (line.text, line.is_interrupted):
                    ready.append(line)
            elif not line.is_final or is_open:
                is_open = True
                continue
            else:
                ready.append(line)
        self._printed |= {line.key: line for line in ready}
        return ready

    def has(self, line: Line) -> bool:
        """Whether this line has been printed, and is as it was then."""
        before = self._printed.get(line.key)
        return before is not None and (before.role, before.shown) == (line.role, line.shown)

    def rest(self, lines: Iterable[Line]) -> list[Line]:
        """Return what has not been printed."""
        return [line for line in lines if line.key not in self._printed]


class PlainScreen:
    """Prints each line when its words are settled.

    Args:
        console: where to.
        hides_typed: what the person types is there already: the terminal has echoed it.
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
        """Print what is settled."""
        for line in self._latched.take(transcript.lines):
            if not (self._hides_typed and line.role == "USER" and line.source == "TYPED"):
                print_line(self._console, line)

    def state(self, state: str | None) -> None:
        """Say nothing: a state is of no interest afterwards."""

    def note(self, text: str) -> None:
        """Print it."""
        self._console.print(Text(text, style="dim"))

    def has_shown(self, line: Line) -> bool:
        """Whether this line has been printed just so."""
        return self._latched.has(line)


class LiveScreen:
    """Redraws what may still change; what is settled scrolls up above it."""

    def __init__(self, console: Console) -> None:
        self._latched = _Latched()
        self._state: str | None = None
        self._open: list[Line] = []
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
        """Print what is settled, and redraw the rest below it."""
        settled = self._latched.take(transcript.lines)
        self._open = self._latched.rest(transcript.lines)
        # First, because each line that is printed draws again what is below it.
        self._draw()
        for line in settled:
            self._live.console.print(row(line))

    def state(self, state: str | None) -> None:
        """Redraw the line at the bottom."""
        self._state = state
        self._draw()

    def note(self, text: str) -> None:
        """Print it above what may still change."""
        self._live.console.print(Text(text, style="dim"))

    def has_shown(self, line: Line) -> bool:
        """Whether this line has been printed just so."""
        return self._latched.has(line)

    def _draw(self) -> None:
        state = STATES.get(self._state or "", "The agent is away")
        status = Text(f"({state}. Ctrl-C ends and saves.)", style="dim italic")
        self._live.update(Group(*map(row, self._open), status), refresh=True)


def print_line(console: Console, line: Line) -> None:
    """Print an utterance; in a file or a pipe as one line, however long it is."""
    if console.is_terminal:
        console.print(row(line))
    else:
        console.print(Text(f"{line.speaker:5}  {line.shown}"), soft_wrap=True)


def row(line: Line) -> RenderableType:
    """Return an utterance as a line that begins with who speaks; interims are dimmed."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=5)
    grid.add_column(overflow="fold")
    text = Text(line.text, style="" if line.is_final else "dim")
    if line.is_interrupted:
        text.append(" [interrupted]", style="yellow")
    grid.add_row(Text(line.speaker, style=_COLOURS.get(line.role, "bold")), text)
    return grid
