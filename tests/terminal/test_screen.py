"""The conversation as shown on the screen."""

import io

from rich.console import Console

from terminal.client.transcript import Transcript
from terminal.screens.screen import LiveScreen, PlainScreen, screen_for
from tests.terminal.test_transcript import utterance


def _console(*, is_terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    terminal = {"force_terminal": is_terminal, "color_system": "truecolor" if is_terminal else None}
    return Console(file=out, width=60, highlight=False, _environ={}, **terminal), out  # type: ignore[arg-type]


def test_a_pipe_gets_each_line_once_when_it_is_settled() -> None:
    """A pipe gets no interims, no colours and no line breaks at a terminal's width."""
    console, out = _console(is_terminal=False)
    transcript = Transcript()
    long = "A sentence that is longer than any terminal would be wide, by quite a bit, really."
    with screen_for(console, types=False) as screen:
        assert isinstance(screen, PlainScreen)
        transcript.take(utterance("a", 1, text="A sent", isFinal=False))
        screen.show(transcript)
        transcript.take(utterance("a", 2, text=long))
        screen.show(transcript)
        transcript.take(
            utterance("b", role="AGENT", sortKey="8000000002", text="I see", isInterrupted=True)
        )
        screen.show(transcript)
        screen.show(transcript)
    assert out.getvalue() == f"You    {long}\nAgent  I see [interrupted]\n"


def test_a_line_waits_for_those_before_it() -> None:
    """Lines appear in the transcript's order, even when a later line is settled first."""
    console, out = _console(is_terminal=False)
    transcript = Transcript()
    screen = PlainScreen(console)
    transcript.take(utterance("a", 1, text="One", isFinal=False))
    transcript.take(utterance("b", 1, role="AGENT", sortKey="8000000002", text="Two."))
    screen.show(transcript)
    assert out.getvalue() == ""
    transcript.take(utterance("a", 2, text="One."))
    screen.show(transcript)
    assert out.getvalue() == "You    One.\nAgent  Two.\n"


def test_a_terminal_shows_interims_dimmed_and_replaces_them() -> None:
    """The next interim overwrites an interim; the final stays."""
    console, out = _console(is_terminal=True)
    transcript = Transcript()
    with screen_for(console, types=False) as screen:
        assert isinstance(screen, LiveScreen)
        screen.state("LISTENING")
        transcript.take(utterance("a", 1, text="Hello wor", isFinal=False))
        screen.show(transcript)
        drawn = out.getvalue()
        assert "\x1b[2mHello wor\x1b[0m" in drawn
        assert "The agent is listening" in drawn
        transcript.take(utterance("a", 2, text="Hello world."))
        screen.show(transcript)
    after = out.getvalue()[len(drawn) :]
    assert "Hello world." in after
    assert "\x1b[2mHello" not in after
    assert "\x1b[1A" in after, "the cursor went up to draw over the interim"


def test_what_a_terminal_has_echoed_is_not_printed_again() -> None:
    """Without a prompt the terminal has echoed the typed line, which counts as shown."""
    console, out = _console(is_terminal=True)
    screen = screen_for(console, types=True, echoes=True)
    transcript = Transcript()
    transcript.take(utterance("a", source="TYPED", text="Hello."))
    transcript.take(
        utterance("b", role="AGENT", source="TYPED", sortKey="8000000002", text="Good evening!")
    )
    screen.show(transcript)
    assert "Hello." not in out.getvalue()
    assert "Good evening!" in out.getvalue()
    assert all(map(screen.has_shown, transcript.lines))


def test_what_a_pipe_brings_is_printed_on_a_terminal() -> None:
    """Nothing echoes the lines of a file, so they would not appear at all."""
    console, out = _console(is_terminal=True)
    screen = screen_for(console, types=True)
    transcript = Transcript()
    transcript.take(utterance("a", source="TYPED", text="Hello."))
    screen.show(transcript)
    assert "Hello." in out.getvalue()


def test_only_what_stands_there_as_it_is_has_been_shown() -> None:
    """Open lines don't count, nor do lines that changed after printing."""
    console, _ = _console(is_terminal=False)
    screen = PlainScreen(console)
    transcript = Transcript()
    transcript.take(utterance("a", 1, text="One."))
    transcript.take(utterance("b", 1, position=2.0, text="Two", isFinal=False))
    screen.show(transcript)
    one, two = transcript.lines
    assert (screen.has_shown(one), screen.has_shown(two)) == (True, False)
    transcript.take(utterance("a", 2, text="One.", isInterrupted=True))
    assert not screen.has_shown(transcript.lines[0])


def test_a_line_that_was_corrected_is_printed_again() -> None:
    """An agent may learn after its final how much of it was heard."""
    console, out = _console(is_terminal=False)
    screen = PlainScreen(console)
    transcript = Transcript()
    transcript.take(utterance("a", 1, role="AGENT", text="It is half past five."))
    screen.show(transcript)
    transcript.take(utterance("a", 2, role="AGENT", text="It is half", isInterrupted=True))
    screen.show(transcript)
    assert out.getvalue().splitlines()[-1] == "Agent  It is half [interrupted]"
