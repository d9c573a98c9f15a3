"""A server killed at any moment loses no acknowledged word, and the checker detects faults."""

import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clients.journal import Kind
from tests.faults.crash import Run

SEEDS = (11, 12, 13)
COMES_WITH = {
    "acknowledges_early": ({Kind.LOST}, {Kind.MISPLACED}),
    # Numbers of rolled-back changes are assigned again.
    "publishes_early": (
        {Kind.UNCOMMITTED},
        {Kind.HOLE, Kind.REUSED, Kind.ALTERED, Kind.MISPLACED},
    ),
    # Lost numbers are assigned again, so nothing else holds either.
    "loses_the_tail": ({Kind.LOST, Kind.UNCOMMITTED, Kind.COUNTERS}, set(Kind)),
    "skips_the_tail": ({Kind.HOLE}, set[Kind]()),
    "reuses_revisions": ({Kind.REUSED}, {Kind.UNCOMMITTED}),
    "doubles_on_resend": ({Kind.DOUBLED}, {Kind.TRACE}),
    "keeps_what_it_refuses": ({Kind.TRACE}, {Kind.FAULT}),
    "hides_late_words": ({Kind.UNTOLD}, set[Kind]()),
}
"""What the checker must report of each broken server, and what else may follow."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Silence the clients' logs: constant disconnects would hide what matters."""
    logger = logging.getLogger("agent_bridge")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.mark.timeout(480)
async def test_ten_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Twenty conversations go on through 10 SIGKILLs, and everybody ends with the same words."""
    run = Run(tmp_path, seed=random.randrange(1_000_000), kills=10)

    journal = await run.check()

    assert journal.violations == [], run.report()
    assert journal.counts["kills"] == 10
    assert journal.counts["finals acknowledged"] > 500, run.report()


def _soak_but_for(*usual: str) -> list[object]:
    """Mark all but the usual faults for the soak: detection changes only with the checker."""
    return [pytest.param(f, marks=() if f in usual else pytest.mark.soak) for f in COMES_WITH]


@pytest.mark.timeout(480)
@pytest.mark.parametrize("fault", _soak_but_for("acknowledges_early", "skips_the_tail"))
async def test_a_broken_server_is_found_out_for_its_own_reason(tmp_path: Path, fault: str) -> None:
    """The checker must fail for each fault, with the right kind of violation.

    A kill exposes a fault only at the right moment, which is rare on a busy machine.
    """
    must, may = COMES_WITH[fault]
    reports = []
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = Run(folder, seed=seed, kills=3, sessions=8, finals=60, fault=fault, up=(0.8, 1.4))
        journal = await run.check()
        reports.append(run.report())
        # Any fault can mislead those who watch an ended session.
        assert journal.kinds <= must | may | {Kind.UNTOLD}, reports
        if must <= journal.kinds:
            return
    pytest.fail("\n".join(reports))


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_the_command_itself_survives_a_long_siege(tmp_path: Path) -> None:
    """`voxql serve` itself is killed 60 times in ten minutes."""
    seed = random.randrange(1_000_000)
    run = Run(tmp_path, seed=seed, kills=60, is_whole=True, up=(1.0, 8.0))

    journal = await run.check()

    assert journal.violations == [], run.report()
    assert journal.counts["finals acknowledged"] > 20_000, run.report()
