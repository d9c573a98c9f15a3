"""Three servers on one PostgreSQL and one Redis; each is killed or cut off at any moment."""

import random
from pathlib import Path

import pytest

from tests.faults.clients.journal import Kind
from tests.faults.crash import Run
from tests.faults.servers.cluster import CUTS, KILLS, ROLL

SEEDS = (21, 22, 23)
COMES_WITH = {
    # Numbers of rolled-back changes are assigned again.
    "publishes_early": (
        {Kind.UNCOMMITTED},
        {Kind.HOLE, Kind.REUSED, Kind.ALTERED, Kind.MISPLACED},
    ),
    "does_not_reserve": ({Kind.REUSED}, {Kind.UNCOMMITTED, Kind.HOLE}),
    "misses_lost_ends": ({Kind.UNTOLD}, set[Kind]()),
}
"""What the checker must report of broken servers, and what else may follow."""


EVERYTHING = (*KILLS, *CUTS, ROLL)


async def survive(folder: Path, **sizes: float) -> Run:
    """Agents, viewers and savers of a session use different processes, and all end the same."""
    seed = random.randrange(1_000_000)
    run = Run(folder, seed=seed, servers=3, acts=EVERYTHING, **sizes)  # type: ignore[arg-type] # they are Run's own
    journal = await run.check()
    assert journal.violations == [], run.report()
    assert journal.counts["kills"] == run.kills
    return run


@pytest.mark.own_network
@pytest.mark.timeout(480)
async def test_kills_cuts_and_restarts_lose_nothing(tmp_path: Path) -> None:
    """Acknowledged words are stored once and read by everybody.

    Servers, Redis and PostgreSQL are killed. One server loses every packet from and to Redis, and
    one from and to PostgreSQL. All servers are restarted, one after the other.
    """
    run = await survive(tmp_path, kills=len(EVERYTHING), sessions=5, finals=25)

    assert all(run.journal.counts[f"kills: {act}"] for act in EVERYTHING), run.report()
    assert run.journal.counts["finals acknowledged"] > 50, run.report()


@pytest.mark.soak
@pytest.mark.own_network
@pytest.mark.timeout(1800)
async def test_a_cluster_survives_a_long_siege(tmp_path: Path) -> None:
    """Servers, Redis and PostgreSQL are killed or cut off 60 times while twenty people talk."""
    run = await survive(tmp_path, kills=60, sessions=20, finals=100)

    assert run.journal.counts["finals acknowledged"] > 5_000, run.report()


@pytest.mark.soak
@pytest.mark.timeout(480)
@pytest.mark.parametrize("fault", COMES_WITH)
async def test_a_broken_cluster_is_found_out_for_its_own_reason(tmp_path: Path, fault: str) -> None:
    """The checker must fail for each fault, with the right kind of violation."""
    must, may = COMES_WITH[fault]
    reports = []
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        sizes = {"kills": len(KILLS), "sessions": 8, "finals": 60.0, "up": (0.8, 1.4)}
        run = Run(folder, seed=seed, servers=3, fault=fault, **sizes)  # type: ignore[arg-type] # they are Run's own
        journal = await run.check()
        reports.append(run.report())
        assert journal.kinds <= must | may | {Kind.UNTOLD}, reports
        if must <= journal.kinds:
            return
    pytest.fail("\n".join(reports))
