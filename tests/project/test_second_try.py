"""A test that failed gets one more try, and nobody can overlook that it needed it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ROOT

SETTINGS = """
[pytest]
markers =
    soak: minutes
    alone: after the others
asyncio_default_fixture_loop_scope = function
"""
# It fails as often as it is told to, then it passes.
TEST = """
import pytest
from pathlib import Path

{mark}
def test_{name}() -> None:
    tries = Path("{name}.tries")
    with tries.open("a") as file:
        file.write("x")
    assert len(tries.read_text()) > {failures}
"""


def run_tests(folder: Path, **failures: int) -> tuple[int, str]:
    """Run tests that fail so many times; return exit status and output."""
    (folder / "pytest.ini").write_text(SETTINGS)
    for name, times in failures.items():
        mark = "@pytest.mark.alone" if name.startswith("alone") else ""
        test = TEST.format(name=name, failures=times, mark=mark)
        (folder / f"test_{name}.py").write_text(test)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, str(ROOT / "scripts" / "run_tests.py")]
    ran = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)
    return ran.returncode, ran.stdout


def tries(folder: Path, name: str) -> int:
    return len((folder / f"{name}.tries").read_text())


@pytest.mark.parametrize("name", ["crowd", "alone"])
def test_what_fails_once_passes_and_is_named(tmp_path: Path, name: str) -> None:
    """The run is green, with the first failure and the test's name in its output."""
    status, said = run_tests(tmp_path, steady=0, alone_steady=0, **{name: 1})

    assert status == 0
    assert "1 failed" in said
    *_, named = said.partition("#  UNSTEADY: failed at first, passed alone.")
    assert f"#    test_{name}.py::test_{name}\n" in named
    assert tries(tmp_path, name) == 2
    assert tries(tmp_path, "steady") == tries(tmp_path, "alone_steady") == 1


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    """There is no third try."""
    status, said = run_tests(tmp_path, crowd=2, alone_steady=0)

    assert status == 1
    assert "UNSTEADY" not in said
    assert tries(tmp_path, "crowd") == 2


def test_many_failures_are_no_accident(tmp_path: Path) -> None:
    """Four that would pass at their second try don't get one."""
    status, said = run_tests(tmp_path, a=1, b=1, c=1, alone=1)

    assert status == 1
    assert "tried once more" not in said
    assert tries(tmp_path, "a") == 1


def test_when_all_pass_nothing_runs_twice(tmp_path: Path) -> None:
    """Nor does a failure of an earlier run."""
    assert run_tests(tmp_path, crowd=2, alone_steady=0)[0] == 1

    status, said = run_tests(tmp_path, crowd=2, alone_steady=0)

    assert status == 0
    assert "tried once more" not in said
    assert tries(tmp_path, "crowd") == 3
