"""(g) Words that cross from one server process to another, compared with those that stay in one.

Agents are at one process and viewers at the other, which is the worst case, or both are spread over
both, as behind a load balancer: then half of the words cross.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from bench.equipment import load
from bench.equipment.load import LoadSpeaker, LoadViewer, Tally
from bench.equipment.processes import Served, Together, cpu_of_all, served
from bench.equipment.stage import Stage, set_up
from bench.figures import Aim, Figure
from bench.growth.compared import delivered
from bench.growth.databases import DATABASE, postgres
from bench.sizes import Sizes
from bench.streams import SENTENCE, LoadTarget, run
from models.copying import copy_database
from tests.programs.postgres import PostgresServer
from tests.programs.redis import RedisServer

ONE: Final = "one process"


def several(sizes: Sizes, cache: Path) -> list[Figure]:
    """(g) Measure latency and CPU with agents at one process and viewers at another.

    Both processes, the one that they are compared with, PostgreSQL, Redis and the load share this
    machine's cores, and are measured by turns.
    """
    with (
        tempfile.TemporaryDirectory(dir=cache) as folder,
        postgres() as one,
        postgres() as two,
        RedisServer() as redis,
    ):
        return run(_measured(sizes, Path(folder), one, two, redis))


async def _measured(
    sizes: Sizes, folder: Path, one: PostgresServer, two: PostgresServer, redis: RedisServer
) -> list[Figure]:
    # An agent that connects again replaces the former one, so each target has its own sessions.
    stage = await set_up(folder, 2 * sizes.sessions)
    some, others = stage.session_ids[: sizes.sessions], stage.session_ids[sizes.sessions :]
    for database in (one, two):
        await copy_database(stage.url, database.url(DATABASE))
    with (
        served("voxql", folder, one.url(DATABASE)) as alone,
        served("voxql", folder, two.url(DATABASE), redis.url) as here,
        served("voxql", folder, two.url(DATABASE), redis.url) as there,
    ):
        both = Together([here, there])
        apart = await target(stage, both, some, (here,), (there,))
        spread = await target(stage, both, others, (here, there), (here, here, there, there))
        together = await target(stage, alone, some, (alone,), (alone,))
        beside = [psutil.Process(pid) for pid in (two.pid, redis.pid)]
        rounds, used = [], []
        for _ in range(sizes.rounds):
            before = [cpu_of_all(process) for process in beside]
            rounds.append([await apart.round(sizes)])
            after = [cpu_of_all(process) for process in beside]
            used.append([late - soon for late, soon in zip(after, before, strict=True)])
            rounds[-1].append(await together.round(sizes))
            rounds[-1].append(await spread.round(sizes))
        for one_target in (apart, together, spread):
            one_target.leave()
    return [*_figures(rounds, sizes), *_beside(rounds, used, sizes)]


def _beside(
    rounds: Sequence[Sequence[tuple[Tally, float]]], used: Sequence[Sequence[float]], sizes: Sizes
) -> list[Figure]:
    """Return what PostgreSQL and Redis take; the warm-up of a round is part of it."""
    share = sizes.talk_s / (sizes.warm_s + sizes.talk_s)
    finals = [tallies[0][0].sent[b"f"] for tallies in rounds]
    events = [tallies[0][0].count for tallies in rounds]
    of_postgres = [1e6 * cpu[0] * share / n for cpu, n in zip(used, finals, strict=True)]
    of_redis = [1e6 * cpu[1] * share / n for cpu, n in zip(used, events, strict=True)]
    return [
        Figure("g", "PostgreSQL's CPU a final", "µs", of_postgres),
        Figure("g", "Redis's CPU a delivered event", "µs", of_redis),
    ]


async def target(
    stage: Stage,
    server: Served | Together,
    ids: Sequence[str],
    of_agents: Sequence[Served],
    of_viewers: Sequence[Served],
    sentence: int = SENTENCE,
) -> LoadTarget:
    """Connect an agent and a viewer for each session.

    Args:
        stage: Where the sessions are.
        server: All the processes together.
        ids: The sessions.
        of_agents: The processes to which agents connect, in turn.
        of_viewers: The processes to which viewers connect, in turn.
        sentence: See `bench.equipment.load.Agent`.
    """
    speakers: list[LoadSpeaker] = []
    viewers: list[LoadViewer] = []
    for number, one in enumerate(of_agents):
        some = ids[number :: len(of_agents)]
        speakers += await load.agents(one.port, stage, some, sentence)
    for number, one in enumerate(of_viewers):
        viewers += await load.viewers(one.port, stage, ids[number :: len(of_viewers)])
    return LoadTarget(server, speakers, viewers)


def _figures(rounds: Sequence[Sequence[tuple[Tally, float]]], sizes: Sizes) -> list[Figure]:
    figures = delivered("g", rounds, ONE, Aim(30.0))
    ours, theirs = ([1e6 * both[at][1] / both[at][0].count for both in rounds] for at in (0, 1))
    figures.append(Figure("g", "CPU a delivered event, all processes", "µs", ours, ONE, theirs))
    ours = [1e6 * three[2][1] / three[2][0].count for three in rounds]
    name = "CPU a delivered event, spread over both"
    figures.append(Figure("g", name, "µs", ours, ONE, theirs, Aim(1 / 0.9, of_ratio=True)))
    ours, theirs = ([100 * both[at][1] / sizes.talk_s for both in rounds] for at in (0, 1))
    figures.append(Figure("g", "what the processes take of a core", "%", ours, ONE, theirs))
    return figures
