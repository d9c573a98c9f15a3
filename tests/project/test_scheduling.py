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


def test_processes_in_the_background_give_way_and_take_no_test_in_real_time(
    tmp_path: Path,
) -> None:
    """Each test runs once; the last processes have a lower priority and run no real-time test."""
    real_time = {place for place in REAL_TIME if "/" not in place}
    folders = sorted(real_time | {"faults", "models", "schema", "voice"})
    for folder in folders:
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / f"test_{folder}.py").write_text(NOTES)
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    notes = tmp_path / "notes"
    command = "-m pytest -p no:cacheprovider -n 4 --dist loadfile --no-loadscope-reorder tests"
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
    background = ["gw2", "gw3"]
    first = {worker: folder for folder, _, worker, _ in reversed(ran)}
    assert set(background) <= set(first)
    assert not {folder for folder, _, worker, _ in ran if worker in background} & real_time
    assert first["gw2"] == "faults"
    assert first["gw3"] in ("models", "schema")
    nices = {worker: int(nice) for *_, worker, nice in ran}
    assert {nices.pop(worker) for worker in background} == {min(own + NICENESS, 19)}
    assert set(nices.values()) == {own}
