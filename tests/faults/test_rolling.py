"""Servers behind nginx are restarted one after the other; nobody notices more than a reconnect."""

from pathlib import Path

import pytest

from tests.faults.rolling import RollingRestart


@pytest.mark.timeout(240)
async def test_a_rolling_restart_loses_nothing_and_brings_every_viewer_back(tmp_path: Path) -> None:
    """Each viewer of a restarted server goes on at another one, from its cursor."""
    run = RollingRestart(tmp_path, sessions=6, finals=12.0, servers=2, between_s=1.0)

    journal = await run.check()

    assert journal.violations == [], run.report()
    assert len(run.restarts_s) == 2
    # Every viewer was connected to one of the two servers, and both were restarted.
    assert len(run.absences) >= 6, run.report()
    assert journal.counts["finals acknowledged"] > 20, run.report()
