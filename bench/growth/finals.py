"""(i) How long finals take to cross from one process to another, at higher and higher rates."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Final

from bench.equipment.load import Tally
from bench.equipment.processes import Together, served
from bench.equipment.stage import set_up
from bench.figures import Aim, Figure
from bench.growth.databases import DATABASE, postgres
from bench.growth.several import target
from bench.sizes import Sizes
from bench.streams import ms, run
from models.copying import copy_database
from tests.programs.postgres import PostgresServer
from tests.programs.redis import RedisServer

RATES: Final = (1, 5, 10)
"""Finals a second in each session."""
SENTENCE: Final = 2
"""Events of an utterance: its first interim, and its final."""


def finals(sizes: Sizes, cache: Path) -> list[Figure]:
    """(i) Measure the latency of finals, with agents at one process and viewers at another.

    Both processes, PostgreSQL, Redis and the load share this machine's cores. A rate that they
    can't carry shows in the finals that did not come in time.
    """
    with (
        tempfile.TemporaryDirectory(dir=cache) as folder,
        postgres() as database,
        RedisServer() as redis,
    ):
        return run(_measured(sizes, Path(folder), database, redis))


async def _measured(
    sizes: Sizes, folder: Path, database: PostgresServer, redis: RedisServer
) -> list[Figure]:
    stage = await set_up(folder, sizes.sessions)
    url = database.url(DATABASE)
    await copy_database(stage.url, url)
    figures = []
    with (
        served("voxql", folder, url, redis.url) as here,
        served("voxql", folder, url, redis.url) as there,
    ):
        both = Together([here, there])
        load = await target(stage, both, stage.session_ids, (here,), (there,), SENTENCE)
        for rate in RATES:
            paced = dataclasses.replace(sizes, rate=float(SENTENCE * rate))
            tallies = [(await load.round(paced))[0] for _ in range(sizes.rounds)]
            figures += _figures(tallies, rate * sizes.sessions)
        load.leave()
    return figures


def _figures(tallies: list[Tally], rate: int) -> list[Figure]:
    name = f"{rate:,} finals a second"
    late = [100 * (1 - len(one.delivered[b"f"]) / one.sent[b"f"]) for one in tallies]
    return [
        *(
            Figure(
                "i",
                f"{name}, at the viewer, {label}",
                "ms",
                [ms(one.delivered[b"f"], share) for one in tallies],
                aim=Aim(30.0) if label == "p99" else None,
            )
            for share, label in ((0.5, "p50"), (0.99, "p99"))
        ),
        Figure("i", f"{name}, not there in time", "%", late),
    ]
