"""(h) Servers behind nginx that are restarted one after the other while everybody talks."""

import asyncio
import logging
import tempfile
from pathlib import Path

from bench.figures import Aim, Figure, percentile
from bench.sizes import Sizes
from tests.faults.rolling import RollingRestart

FINALS: float = 0.5
"""Finals a second in each session."""


def restarts(sizes: Sizes, cache: Path) -> list[Figure]:
    """(h) Measure how long viewers are away, and how long finals take, in a rolling restart.

    Three servers, PostgreSQL, Redis, nginx, the agents and the viewers share this machine's cores.

    Raises:
        RuntimeError: A word was lost, doubled or out of order.
    """
    # Broken connections are expected here.
    logging.getLogger("agent_bridge").setLevel(logging.CRITICAL)
    rounds = [asyncio.run(_round(sizes, cache)) for _ in range(min(sizes.rounds, 3))]
    figures = []
    for share, name in ((0.5, "p50"), (0.95, "p95"), (1.0, "longest")):
        values = [percentile(run.absences, share) for run in rounds]
        aim = Aim(2.0) if name == "p95" else None
        label = f"viewer away in a rolling restart, {name}"
        figures.append(Figure("h", label, "s", values, aim=aim))
    for share, name in ((0.99, "p99"), (1.0, "longest")):
        values = [percentile(run.delays, share) for run in rounds]
        figures.append(Figure("h", f"final → acknowledged meanwhile, {name}", "s", values))
    away = [sum(run.restarts_s) / len(run.restarts_s) for run in rounds]
    lost = [float(len(run.absences)) for run in rounds]
    figures.append(Figure("h", "a server's restart", "s", away))
    figures.append(Figure("h", "streams that viewers lost", "", lost))
    return figures


async def _round(sizes: Sizes, cache: Path) -> RollingRestart:
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        run = RollingRestart(Path(folder), sessions=sizes.sessions, finals=FINALS * sizes.sessions)
        await run.check()
    if run.journal.violations:
        raise RuntimeError(run.report())
    return run
