"""A test that failed gets one more try, and nobody can overlook that it needed it."""

import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server_process import ROOT

SCRIPT = ROOT / "scripts" / "run_tests.py"
script = runpy.run_path(str(SCRIPT))

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

DIES = """
import os, signal
import pytest

@pytest.mark.alone
def test_dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_tests(folder: Path, failures: dict[str, int]) -> tuple[int, str]:
    """Run tests that fail so many times; return exit status and output."""
    (folder / "pytest.ini").write_text(SETTINGS)
    for name, times in failures.items():
        mark = "@pytest.mark.alone" if name.startswith("alone") else ""
        test = TEST.format(name=name, failures=times, mark=mark)
        (folder / f"test_{name}.py").write_text(test)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ran = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=folder, env=kept, capture_output=True, text=True
    )
    return ran.returncode, ran.stdout


def tries(folder: Path, name: str) -> int:
    return len((folder / f"{name}.tries").read_text())


def test_what_fails_once_passes_and_is_named(tmp_path: Path) -> None:
    """The run is green, with the first failures and their names in its output."""
    status, said = run_tests(tmp_path, {"crowd": 1, "steady": 0, "alone": 1, "alone_steady": 0})

    assert status == 0
    assert said.count("1 failed, ") == 2
    *_, named = said.partition("#  UNSTEADY: failed at first, passed alone.")
    assert re.findall(r"^#    (.*)$", named, re.MULTILINE) == [
        "test_alone.py::test_alone",
        "test_crowd.py::test_crowd",
    ]
    assert [tries(tmp_path, name) for name in ("crowd", "alone")] == [2, 2]
    assert [tries(tmp_path, name) for name in ("steady", "alone_steady")] == [1, 1]


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    """There is no third try; and what failed in an earlier run is forgotten in the next."""
    failures = {"crowd": 2, "alone_steady": 0}

    status, said = run_tests(tmp_path, failures)

    assert status == 1
    assert "UNSTEADY" not in said
    assert tries(tmp_path, "crowd") == 2

    status, said = run_tests(tmp_path, failures)

    assert status == 0
    assert "tried once more" not in said
    assert tries(tmp_path, "crowd") == 3


def test_a_run_that_dies_is_no_success(tmp_path: Path) -> None:
    """A crash of native code ends the tests that run alone; what failed before stays failed."""
    (tmp_path / "test_alone_dies.py").write_text(DIES)

    status, said = run_tests(tmp_path, {"crowd": 1})

    assert status == 128 + signal.SIGKILL
    assert "tried once more" not in said


@pytest.mark.parametrize(
    ("status", "tests", "is_worth_it"),
    [
        (1, ["tests/a.py::a", "tests/b.py::b", "tests/c.py::c"], True),
        (1, ["tests/a.py::a", "tests/b.py::b", "tests/c.py::c", "tests/d.py::d"], False),
        (0, [], False),
        (1, [], False),
        (2, ["tests/a.py"], False),
        (137, ["tests/a.py::a"], False),
        (5, [], False),
    ],
)
def test_only_a_few_failures_may_be_accidents(
    status: int, tests: list[str], is_worth_it: bool
) -> None:
    """Many are none, nor are tests that could not be run at all."""
    assert script["is_worth_another"](status, tests) is is_worth_it


@pytest.mark.parametrize("name", ["test_crash", "test_power_cut", "test_resume"])
def test_a_search_by_chance_has_no_second_chance(name: str) -> None:
    """The crash checker draws another seed each time: a word that it saw lost stays lost."""
    path = f"tests/faults/{name}.py"
    assert (ROOT / path).exists()

    assert not script["is_worth_another"](1, ["tests/a.py::a", f"{path}::test_it"])
