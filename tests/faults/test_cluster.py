"""Three servers on one PostgreSQL and one Redis, any of which is killed at any moment."""

import random
from pathlib import Path

import pytest

from tests.faults.crash import Run


@pytest.mark.timeout(600)
async def test_kills_of_servers_redis_and_postgres_lose_nothing(tmp_path: Path) -> None:
    """Agents, viewers and savers of a session use different processes, and all end the same."""
    run = Run(
        tmp_path, seed=random.randrange(1_000_000), kills=6, sessions=12, finals=60, servers=3
    )

    journal = await run.check()

    assert journal.violations == [], run.report()
    assert journal.counts["kills"] == 6
    assert journal.counts["finals acknowledged"] > 200, run.report()
