"""The second `make serve` takes seconds, and says where they went."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.machine import Machine
from tests.said import Program
from tests.server_process import ROOT, is_setting

OPEN_WITHIN_S: Final = 5.0
READY_WITHIN_S: Final = 15.0
STEP: Final = re.compile(r"^  (\w+) +\S.* (\d+\.\d\d) s$")


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Program, subprocess.Popen[str]]]:
    """`make serve` in this checkout, where everything is installed; its data is elsewhere."""
    # Nor may the variables of the `make` that runs these tests reach the one that is tested.
    makes = ("MAKE", "MFLAGS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not is_setting(name) and not name.startswith(makes)
    }
    environment = {**kept, "VOXQL_DATA_DIR": str(tmp_path), "VOXQL_PORT": "0"}
    subprocess.run(["make", "setup"], cwd=ROOT, env=environment, check=True)
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
    yield program, process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.alone
def test_the_second_make_serve_is_up_within_seconds_and_ctrl_c_ends_it_all(
    serving: tuple[Program, subprocess.Popen[str]],
) -> None:
    """5 s from the command to the page, 15 s to the agent; Ctrl-C leaves no process behind."""
    program, process = serving
    began = time.monotonic()
    machine = Machine(process.pid)

    open_after = after(program, "  open  ", began)
    ready_after = after(program, "ready: conversations can begin", began)

    print(f"open after {open_after:.1f} s, agent ready after {ready_after:.1f} s")
    steps = [found[1] for line in program.lines if (found := STEP.match(line))]
    assert steps == ["command", "port", "agent", "app", "database", "open", "agent"]
    assert open_after < machine.allows(OPEN_WITHIN_S), program.lines
    assert ready_after < machine.allows(READY_WITHIN_S), program.lines

    # As a terminal does it: to everybody who was started from there.
    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)

    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def after(program: Program, text: str, began: float) -> float:
    """Return the seconds from then until a line with this text was printed."""
    program.wait_until(lambda: any(text in line for line in program.lines), 60.0)
    assert any(text in line for line in program.lines), program.lines
    return time.monotonic() - began
