"""`voxql talk` with a recording, run as a command against the real agent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import RATE, Clip, Pcm, recording, write_wav
from tests.speech.words import error_rate

pytestmark = pytest.mark.timeout(120)


def test_a_recording_is_talked_over(speaking: ServerProcess, tmp_path: Path) -> None:
    """The recording is played, answered, saved, and read back from the history."""
    clip = recording("0880")
    result = _talk(speaking, write_wav(tmp_path / "clip.wav", _doubled(clip), 2 * RATE))

    assert result.returncode == 0, result.stdout + result.stderr
    live, _, back = result.stdout.partition("Read back from the history:")
    lines = [line for line in live.splitlines() if line.startswith(("You", "Agent"))]
    assert [line.split()[0] for line in lines] == ["You", "Agent"]
    assert error_rate([clip.text], [lines[0].removeprefix("You")]) <= 0.25
    assert "Saved as ses_" in live
    assert "2 utterances" in live
    assert [line for line in back.splitlines() if line] == lines


def test_the_greeting_is_heard_out(greeting: ServerProcess, tmp_path: Path) -> None:
    """The recording starts after the greeting, and is answered."""
    clip = recording("0880")
    result = _talk(greeting, write_wav(tmp_path / "clip.wav", _doubled(clip), 2 * RATE))

    assert result.returncode == 0, result.stdout + result.stderr
    live = result.stdout.partition("Read back from the history:")[0]
    lines = [line for line in live.splitlines() if line.startswith(("You", "Agent"))]
    assert [line.split()[0] for line in lines] == ["Agent", "You", "Agent"]
    assert lines[0].split(maxsplit=1)[1].startswith("Hello! I'm the built-in demo")
    assert "language model." in live, "all of it was said"


def test_typed_lines_are_answered(speaking: ServerProcess) -> None:
    """Without a file or microphone, lines are typed; each is answered before the next."""
    result = _talk(speaking, typed="What is two plus five?\nThank you.\n")

    assert result.returncode == 0, result.stdout + result.stderr
    said = [line for line in result.stdout.splitlines() if line.startswith(("You ", "Agent "))]
    assert [line.split()[0] for line in said] == ["You", "Agent", "You", "Agent"]
    assert said[0].endswith("What is two plus five?")
    assert "7" in said[1] or "seven" in said[1].lower()
    assert "Read back from the history: all 4 lines, as they stand above." in result.stdout


def _doubled(clip: Clip) -> Pcm:
    """Return a clip at twice the rate, as most sound cards record it."""
    return clip.pcm.repeat(2)


def _talk(
    server: ServerProcess, file: Path | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "talk", *([str(file)] if file else [])],
        env={**os.environ, "VOXQL_URL": server.url},
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
