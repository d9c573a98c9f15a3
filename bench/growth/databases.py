"""(f) One server process on PostgreSQL, compared with one on SQLite: the same requests by turns."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.equipment import load
from bench.equipment.asking import BenchClient
from bench.equipment.dataset import COMMON, RARE, large_history
from bench.equipment.load import Tally
from bench.equipment.processes import served
from bench.equipment.stage import Stage, set_up
from bench.figures import Figure
from bench.growth.compared import delivered
from bench.history import QUERY, PageCase, deep_page
from bench.saving import save
from bench.sizes import Sizes
from bench.streams import SENTENCE, LoadTarget, ms, run
from models.copying import copy_database
from tests.programs.postgres import PostgresServer

SQLITE: Final = "SQLite"
DATABASE: Final = "bench"


def databases(sizes: Sizes, cache: Path) -> list[Figure]:
    """(f) Measure latency and cost under load, a save, and pages of a large history.

    PostgreSQL syncs its commits here, as SQLite does. Both are on the same disk.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder, postgres() as server:
        figures = run(_load(sizes, Path(folder), server.url(DATABASE)))
    stage = large_history(sizes, cache, Console(stderr=True))
    with postgres() as server:
        url = server.url(DATABASE)
        began = time.perf_counter()
        copied = asyncio.run(copy_database(stage.url, url))
        took, rows = time.perf_counter() - began, sum(table.rows for table in copied)
        figures.append(Figure("f", f"copying {rows:,} rows into PostgreSQL", "s", [took]))
        return figures + _pages(stage, url, sizes)


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server with an empty database."""
    server = PostgresServer.new(fsync="on", full_page_writes="on", shared_buffers="1GB")
    try:
        server.start()
        asyncio.run(server.execute(f"CREATE DATABASE {DATABASE}"))
        yield server
    finally:
        server.remove()


async def _load(sizes: Sizes, folder: Path, url: str) -> list[Figure]:
    stage = await set_up(folder, sizes.sessions)
    await copy_database(stage.url, url)
    with served("voxql", folder, url) as on_postgres, served("voxql", folder) as on_sqlite:
        targets = []
        for process in (on_postgres, on_sqlite):
            speakers = await load.agents(process.port, stage, stage.session_ids, SENTENCE)
            viewers = await load.viewers(process.port, stage, stage.session_ids)
            targets.append(LoadTarget(process, speakers, viewers))
        rounds = [[await target.round(sizes) for target in targets] for _ in range(sizes.rounds)]
        for target in targets:
            target.leave()
        saves = _saves(stage, on_postgres.port, on_sqlite.port, sizes)
        return [*_latencies(rounds, sizes), *saves]


def _latencies(rounds: list[list[tuple[Tally, float]]], sizes: Sizes) -> list[Figure]:
    figures = delivered("f", rounds, SQLITE)
    acknowledged = ([ms(both[at][0].acknowledged, 0.99) for both in rounds] for at in (0, 1))
    used = ([100 * both[at][1] / sizes.talk_s for both in rounds] for at in (0, 1))
    ours, theirs = acknowledged
    figures.append(Figure("f", "final → acknowledged on disk, p99", "ms", ours, SQLITE, theirs))
    ours, theirs = used
    figures.append(
        Figure("f", "what the server process takes of a core", "%", ours, SQLITE, theirs)
    )
    return figures


def _saves(stage: Stage, postgres: int, sqlite: int, sizes: Sizes) -> list[Figure]:
    ours, theirs = [], []
    with BenchClient(postgres, stage.secret) as one, BenchClient(sqlite, stage.secret) as other:
        for session_id in stage.session_ids[: sizes.saves + 1]:
            ours.append(save(one, session_id, sizes.messages))
            theirs.append(save(other, session_id, sizes.messages))
    name = f"saving {sizes.messages:,} messages"
    # The first was a warm-up.
    return [Figure("f", name, "ms", ours[1:], SQLITE, theirs[1:])]


def _pages(stage: Stage, url: str, sizes: Sizes) -> list[Figure]:
    cases = [
        PageCase("first page"),
        deep_page(stage, sizes),
        PageCase("search, a rare word", word=RARE),
        PageCase("search, a common word", word=COMMON),
    ]
    figures = []
    with (
        served("voxql", stage.folder, url) as on_postgres,
        served("voxql", stage.folder) as on_sqlite,
        BenchClient(on_postgres.port, stage.secret) as one,
        BenchClient(on_sqlite.port, stage.secret) as other,
    ):
        for case in cases:
            ours, theirs = [], []
            for _ in range(sizes.reads + 2):
                found, took = one.ask(QUERY, case.variables)
                ours.append(took)
                expected, took = other.ask(QUERY, case.variables)
                theirs.append(took)
                assert _ids(found) == _ids(expected)
            figures.append(Figure("f", case.name, "ms", ours[2:], SQLITE, theirs[2:]))
    return figures


def _ids(data: dict[str, dict[str, list[dict[str, dict[str, str]]]]]) -> list[str]:
    return [edge["node"]["id"] for edge in data["sessionHistory"]["edges"]]
