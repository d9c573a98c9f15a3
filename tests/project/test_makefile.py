"""The targets of `make`, everybody's starting point."""

import re
import subprocess

from tests.programs.server_process import ROOT

FIXED = {"setup", "serve", "test", "check", "bench", "dev", "help"}


def make(*arguments: str) -> str:
    # The variables of the `make` that runs these tests must not reach the one under test.
    command = ["env", "-u", "MAKEFLAGS", "-u", "MFLAGS", "-u", "MAKELEVEL", "make", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_help_lists_every_target_that_people_use() -> None:
    """It lists all phony targets except internal ones, including those that scripts rely on."""
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    inner = {"again", "dev-tools", "early"}

    shown = re.findall(r"^  make ([a-z-]+) +\S", make("help"), re.MULTILINE)

    assert set(shown) == set(phony[1].split()) - inner
    assert set(shown) >= FIXED


def test_make_alone_shows_the_help() -> None:
    """People type it first, so it must not start anything."""
    assert make() == make("help")


def test_ci_runs_check_and_test_and_nothing_else() -> None:
    """Anyone can run what CI runs with the same two commands."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()

    commands = [line for line in lines if line and not line.startswith("#")]

    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "make check",
        "make test",
    ]
