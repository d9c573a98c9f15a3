"""The planted faults match the code, and only a failing test catches one."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.programs.server_process import ROOT

script = runpy.run_path(str(ROOT / "scripts" / "planted_faults"))
FAULTS: list[Any] = script["read"]()

PASSES = "def test_it() -> None:\n    assert True\n"
FAILS = "def test_it() -> None:\n    assert False\n"
CANT_BE_READ = "import nothing_of_this_name\n"


def test_every_fault_can_be_planted() -> None:
    """The text to replace occurs exactly once in its file."""
    assert [problem for fault in FAULTS if (problem := fault.problem())] == []


def test_a_fault_is_one_changed_line() -> None:
    """There are at least forty faults, each with a unique name."""
    assert len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        assert fault.old != fault.new, fault.name
        assert "\n" not in fault.old + fault.new, fault.name


def test_the_tests_of_a_fault_are_there() -> None:
    """They are of one kind: Vitest runs the page's tests and pytest all others."""
    for fault in FAULTS:
        assert fault.tests, fault.name
        assert len({test.startswith("frontend/") for test in fault.tests}) == 1, fault.name
        for test in fault.tests:
            path, _, function = test.partition("::")
            assert (ROOT / path).exists(), f"{fault.name}: {path}"
            assert not function or f"def {function}(" in (ROOT / path).read_text(), fault.name


@pytest.mark.parametrize(
    ("test", "failed", "is_sound"),
    [(PASSES, None, True), (FAILS, "test_a.py::test_it", False), (CANT_BE_READ, None, False)],
)
def test_a_fault_is_caught_by_a_test_that_fails(
    tmp_path: Path, test: str, failed: str | None, is_sound: bool
) -> None:
    """A test that can't run doesn't count: any typing error would cause that."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_a.py").write_text(test)

    outcome = script["run"](["test_a.py"], tmp_path)

    assert (outcome.failed, outcome.is_sound) == (failed, is_sound)


def test_a_copy_is_sound_again_after_a_fault(tmp_path: Path) -> None:
    """The next fault is planted in the same copy."""
    fault = script["Fault"]("wrong-sum", "sums.py", "1 + 1", "1 + 2", ("tests",))
    (tmp_path / "sums.py").write_text("two = 1 + 1\n")

    with script["planted"](fault, tmp_path):
        assert (tmp_path / "sums.py").read_text() == "two = 1 + 2\n"

    assert (tmp_path / "sums.py").read_text() == "two = 1 + 1\n"
