"""`make serve` reports its start-up times, and stops on Ctrl-C."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.machine import Machine
from tests.programs.said import Program
from tests.programs.server_process import ROOT, is_setting

OPEN_WITHIN_S: Final = 5.0
READY_WITHIN_S: Final = 15.0
STEP: Final = re.compile(r"^  (\w+) +\S.* (\d+\.\d\d) s$")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Use another data folder, and hide the variables of the `make` that runs these tests."""
    makes = ("MAKE", "MFLAGS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not is_setting(name) and not name.startswith(makes)
    }
    return {**kept, "VOXQL_DATA_DIR": str(tmp_path), "VOXQL_PORT": "0"}


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[tuple[Program, subprocess.Popen[str]]]:
    """Run `make serve` in this checkout, where everything is installed."""
    process = subprocess.Popen(
        ["make", "serve"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    program = Program("make serve")
    program.listen(process)
    try:
        yield program, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_make_serve_says_what_it_does_and_ctrl_c_ends_it_all(environment: dict[str, str]) -> None:
    """The steps are printed in order; Ctrl-C leaves no process behind."""
    with serving(environment) as (program, process):
        is_printed(program, "ready: conversations can begin")
        steps = [found[1] for line in program.lines if (found := STEP.match(line))]
        assert steps == ["command", "port", "agent", "app", "database", "open", "agent"]
        (mind,) = [line for line in program.lines if line.startswith("  answers ")]
        assert "built-in demo. Set VOXQL_LLM_BASE_URL (for example http://localhost:11434" in mind

        # A terminal sends SIGINT to the whole process group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)


@pytest.mark.soak
def test_the_second_make_serve_is_up_within_seconds(environment: dict[str, str]) -> None:
    """The page is up within 5 s of the command, the agent within 15 s."""
    subprocess.run(["make", "setup"], cwd=ROOT, env=environment, check=True)
    began = time.monotonic()
    with serving(environment) as (program, process):
        machine = Machine(process.pid)

        is_printed(program, "  open  ")
        open_after = time.monotonic() - began
        is_printed(program, "ready: conversations can begin")
        ready_after = time.monotonic() - began

        print(f"open after {open_after:.1f} s, agent ready after {ready_after:.1f} s")
        assert open_after < machine.allows(OPEN_WITHIN_S), program.lines
        assert ready_after < machine.allows(READY_WITHIN_S), program.lines


def is_printed(program: Program, text: str) -> None:
    """Wait until a line with this text is printed."""
    program.wait_until(lambda: any(text in line for line in program.lines), 60.0)
    assert any(text in line for line in program.lines), program.lines
