"""`python -m bench --quick` runs every measurement and writes complete JSON."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.programs.server_process import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

WITHIN_S = 280


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ran(folder: Path) -> subprocess.CompletedProcess[str]:
    """A quick run, once for all tests here."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "bench", "--quick"),
            *("--json", str(folder / "result.json")),
            *("--cache", str(folder / "cache")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


@pytest.fixture(scope="module")
def result(ran: subprocess.CompletedProcess[str], folder: Path) -> Any:
    assert ran.returncode == 0, ran.stderr
    return json.loads((folder / "result.json").read_text())


def test_every_part_is_measured(result: Any) -> None:
    """Each part has figures with rounds."""
    assert sorted({figure["part"] for figure in result["figures"]}) == list("abcdefghi")
    assert all(figure["rounds"] for figure in result["figures"])


def test_every_figure_is_complete(result: Any) -> None:
    """Each has a name, a unit and a finite median within its spread; a reference has a ratio."""
    for figure in result["figures"]:
        assert figure["name"]
        assert figure["unit"]
        assert math.isfinite(figure["median"])
        assert figure["low"] <= figure["median"] <= figure["high"]
        assert (figure["reference"] is None) == (figure["ratio"] is None)
        if figure["aim"] is not None:
            assert figure["aim"]["of"] in ("ratio", "value")
            assert isinstance(figure["aim"]["is_met"], bool)


def test_the_machine_is_described_but_not_named(result: Any) -> None:
    """It lists cores, load and versions, before and after, but nothing that identifies it."""
    machine = result["machine"]
    assert set(machine) == {"system", "python", "packages", "before", "after"}
    for moment in ("before", "after"):
        assert set(machine[moment]) == {"cores", "load", "busy_percent", "noise_percent"}


def test_the_table_shows_every_figure(ran: subprocess.CompletedProcess[str], result: Any) -> None:
    """The table shows a result for each figure that has an aim."""
    rows = ran.stdout.count("met") + ran.stdout.count("missed")
    assert rows == sum(figure["aim"] is not None for figure in result["figures"])


def test_nothing_is_left_behind(ran: subprocess.CompletedProcess[str], folder: Path) -> None:
    """A run deletes its databases; only the large history is kept for the next run."""
    assert ran.returncode == 0, ran.stderr
    left = [path.name.partition("-")[0] for path in (folder / "cache").iterdir()]
    assert left == ["history"]
