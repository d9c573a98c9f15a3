"""Real-time tests get the processor when they need it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.programs.server_process import ROOT
from tests.scheduling import NICENESS, REAL_TIME

CONFTEST = f"""
import importlib.util

spec = importlib.util.spec_from_file_location("scheduling", "{ROOT}/tests/scheduling.py")
scheduling = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scheduling)


def pytest_configure(config):
    scheduling.lower_priority(config)


def pytest_xdist_make_scheduler(config, log):
    return scheduling.PriorityScheduling(config, log)
"""
NOTES = """
import os
import pytest

@pytest.mark.parametrize("number", range(4))
def test_notes_where_it_runs(number):
    worker = os.environ["PYTEST_XDIST_WORKER"]
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(f"{__file__.split('/')[-2]} {number} {worker} {os.nice(0)}\\n")
"""


def test_a_process_in_the_background_gives_way_and_takes_no_test_in_real_time(
    tmp_path: Path,
) -> None:
    """Each test runs once; the last process has a lower priority and runs no real-time test."""
    real_time = {place for place in REAL_TIME if "/" not in place}
    folders = sorted(real_time | {"faults", "models", "schema", "voice"})
    for folder in folders:
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / f"test_{folder}.py").write_text(NOTES)
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    notes = tmp_path / "notes"
    command = "-m pytest -p no:cacheprovider -n 3 --dist loadfile --no-loadscope-reorder tests"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }

    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        env={**environment, "NOTES": str(notes)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    ran = [line.split() for line in notes.read_text().splitlines()]
    own = os.nice(0)
    assert sorted(f"{folder} {number}" for folder, number, *_ in ran) == sorted(
        f"{folder} {number}" for folder in folders for number in range(4)
    )
    in_background = {folder for folder, _, worker, _ in ran if worker == "gw2"}
    assert in_background
    assert not in_background & real_time
    assert {int(nice) for *_, worker, nice in ran if worker == "gw2"} == {min(own + NICENESS, 19)}
    assert {int(nice) for *_, worker, nice in ran if worker != "gw2"} == {own}
