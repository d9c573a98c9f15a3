"""Three servers on one PostgreSQL and one Redis, any of which is killed at any moment."""

import random
from pathlib import Path

import pytest

from tests.faults.crash import Run


async def survive(folder: Path, **sizes: float) -> Run:
    """Agents, viewers and savers of a session use different processes, and all end the same."""
    seed = random.randrange(1_000_000)
    run = Run(folder, seed=seed, servers=3, **sizes)  # type: ignore[arg-type] # they are Run's own
    journal = await run.check()
    assert journal.violations == [], run.report()
    assert journal.counts["kills"] == run.kills
    return run


@pytest.mark.timeout(480)
async def test_kills_of_servers_redis_and_postgres_lose_nothing(tmp_path: Path) -> None:
    """Whatever is killed, acknowledged words are stored once and read by everybody."""
    run = await survive(tmp_path, kills=4, sessions=5, finals=25)

    assert run.journal.counts["finals acknowledged"] > 50, run.report()


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_cluster_survives_a_long_siege(tmp_path: Path) -> None:
    """Servers, Redis and PostgreSQL are killed 60 times while twenty people talk."""
    run = await survive(tmp_path, kills=60, sessions=20, finals=100)

    assert run.journal.counts["finals acknowledged"] > 5_000, run.report()
