"""(a) The latency, (b) the CPU cost and (e) the memory of delivering words to viewers."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from bench.equipment import load
from bench.equipment.load import LoadSpeaker, LoadViewer, Tally
from bench.equipment.processes import Served, Together, served
from bench.equipment.stage import set_up
from bench.equipment.wire import close_all
from bench.figures import Aim, Figure, percentile
from bench.sizes import Sizes

SENTENCE: Final = 10
"""Events of a sentence in (a); the last is final."""
BARE: Final = "bare Starlette WebSocket"
_SETTLE_S: Final = 0.3
_SETTLE_WITHIN_S: Final = 6.0

_KINDS: Final = {
    b"i": "interim → viewer",
    b"n": "first interim → viewer, committed",
    b"f": "final → viewer, committed",
}


def latency(sizes: Sizes, folder: Path) -> list[Figure]:
    """(a) Measure the time from bridge to delivery, with one viewer per session."""
    return run(_latency(sizes, folder))


def cost(sizes: Sizes, folder: Path) -> list[Figure]:
    """(b) Measure the server's CPU per delivered interim."""
    return run(_cost(sizes, folder))


def memory(sizes: Sizes, folder: Path) -> list[Figure]:
    """(e) Measure the server's memory per idle subscriber."""
    return run(_memory(sizes, folder))


def run(measurement: Coroutine[Any, Any, list[Figure]]) -> list[Figure]:
    """Run a measurement on the event loop that the server uses."""
    factory = uvicorn.Config(app="", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(measurement)


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """VoxQL or the reference, with its speakers and viewers connected."""

    server: Served | Together
    speakers: Sequence[LoadSpeaker]
    viewers: Sequence[LoadViewer]

    async def round(self, sizes: Sizes) -> tuple[Tally, float]:
        """Talk; return the deliveries, and the server's CPU seconds meanwhile."""
        await self._talk(sizes, sizes.warm_s, Tally())
        tally, before = Tally(), self.server.cpu_s()
        await self._talk(sizes, sizes.talk_s, tally)
        used = self.server.cpu_s() - before
        for viewer in self.viewers:
            viewer.begin(Tally())
        return tally, used

    async def _talk(self, sizes: Sizes, seconds: float, tally: Tally) -> None:
        for speaker in self.speakers:
            speaker.tally = tally
        for viewer in self.viewers:
            viewer.begin(tally)
        gc.collect()
        gc.disable()
        try:
            await load.talk(self.speakers, sizes.rate, seconds, tally)
            await self._settle(tally)
        finally:
            gc.enable()

    async def _settle(self, tally: Tally) -> None:
        """Wait for deliveries still on their way, which belong to this round."""
        due = tally.sent[b"f"] * len(self.viewers) // len(self.speakers)
        for _ in range(round(_SETTLE_WITHIN_S / _SETTLE_S)):
            await asyncio.sleep(_SETTLE_S)
            if len(tally.delivered[b"f"]) >= due:
                return

    def leave(self) -> None:
        """Close every connection."""
        close_all([viewer.wire for viewer in self.viewers])
        close_all([speaker.wire for speaker in self.speakers])


@asynccontextmanager
async def _both(
    sizes: Sizes, folder: Path, sentence: int, sessions: int, viewers: int
) -> AsyncIterator[tuple[LoadTarget, LoadTarget]]:
    """Set up VoxQL and the reference, with the viewers spread over the sessions."""
    stage = await set_up(folder, sessions)
    ids = stage.session_ids
    watched = [ids[number % sessions] for number in range(viewers)]
    with served("voxql", folder) as voxql, served("bare", folder) as bare:
        speakers = await load.agents(voxql.port, stage, ids, sentence)
        ours = LoadTarget(voxql, speakers, await load.viewers(voxql.port, stage, watched))
        await ours.round(sizes)
        frame = next(viewer.sample for viewer in ours.viewers if viewer.sample)
        parrots = await load.parrots(bare.port, ids, frame)
        theirs = LoadTarget(bare, parrots, await load.bare_viewers(bare.port, watched))
        yield ours, theirs
        ours.leave()
        theirs.leave()


Rounds = list[tuple[Tally, float, Tally, float]]


async def _rounds(sizes: Sizes, folder: Path, sentence: int, sessions: int, viewers: int) -> Rounds:
    """Measure both by turns; return tally and CPU seconds of ours, then of the reference."""
    rounds = []
    async with _both(sizes, folder, sentence, sessions, viewers) as (ours, theirs):
        for _ in range(sizes.rounds):
            rounds.append((*await ours.round(sizes), *await theirs.round(sizes)))
    for tally, _, bare, _ in rounds:
        for each in (tally, bare):
            check(each, viewers // sessions)
    return rounds


def check(tally: Tally, viewers: int) -> None:
    """Refuse the figures of a round that lost a final or delivered something twice.

    Interims may be missing: if a commit or a reader is slow, newer ones replace them.
    """
    for kind, sent in tally.sent.items():
        came, due = len(tally.delivered[kind]), sent * viewers
        if came > due or (came < due and kind == b"f"):
            raise RuntimeError(f"{due} deliveries of {kind!r} were due, {came} came.")


async def _latency(sizes: Sizes, folder: Path) -> list[Figure]:
    rounds = await _rounds(sizes, folder, SENTENCE, sizes.sessions, sizes.sessions)
    figures = []
    for kind, name in _KINDS.items():
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            figures.append(
                Figure(
                    "a",
                    f"{name}, {label}",
                    "ms",
                    [ms(tally.delivered[kind], share) for tally, *_ in rounds],
                    BARE,
                    [ms(bare.delivered[b"i"], share) for _, _, bare, _ in rounds],
                    Aim(20.0) if label == "p99" else None,
                )
            )
    return [*figures, *_beside(rounds, sizes)]


def _beside(rounds: Rounds, sizes: Sizes) -> list[Figure]:
    """Return what else was measured along with the latency."""
    acknowledged = [ms(tally.acknowledged, 0.99) for tally, *_ in rounds]
    taken = [100 * ours / sizes.talk_s for _, ours, _, _ in rounds]
    taken_bare = [100 * theirs / sizes.talk_s for _, _, _, theirs in rounds]
    overtaken = [100 * (1 - tally.count / sum(tally.sent.values())) for tally, *_ in rounds]
    late = [ms(tally.late, 0.99) for tally, *_ in rounds]
    return [
        Figure("a", "final → acknowledged on disk, p99", "ms", acknowledged),
        Figure("a", "what it takes of a core", "%", taken, BARE, taken_bare),
        Figure("a", "interims that a newer one overtook", "%", overtaken),
        Figure("a", "the load behind its own plan, p99", "ms", late),
    ]


async def _cost(sizes: Sizes, folder: Path) -> list[Figure]:
    cases = {
        f"{sizes.sessions} sessions, a viewer each": (sizes.sessions, sizes.sessions),
        f"one session, {sizes.crowd} viewers": (1, sizes.crowd),
    }
    figures = []
    for number, (name, (sessions, viewers)) in enumerate(cases.items()):
        place = folder / str(number)
        rounds = await _rounds(sizes, place, 0, sessions, viewers)
        figures.append(
            Figure(
                "b",
                f"CPU a delivered interim: {name}",
                "µs",
                [used / tally.count * 1e6 for tally, used, _, _ in rounds],
                BARE,
                [used / bare.count * 1e6 for _, _, bare, used in rounds],
                Aim(5.0, of_ratio=True),
            )
        )
    return figures


async def _memory(sizes: Sizes, folder: Path) -> list[Figure]:
    stage = await set_up(folder, sizes.sessions)
    ids = stage.session_ids
    with served("voxql", folder) as voxql, served("bare", folder) as bare:
        ours = await _grown(sizes, voxql, ids, lambda some: load.viewers(voxql.port, stage, some))
        theirs = await _grown(sizes, bare, ids, lambda some: load.bare_viewers(bare.port, some))
    name = f"memory an idle subscriber, up to {sizes.subscribers[-1]:,}"
    return [Figure("e", name, "KiB", ours, BARE, theirs, Aim(60.0))]


async def _grown(
    sizes: Sizes,
    server: Served,
    ids: Sequence[str],
    connect: Callable[[Sequence[str]], Awaitable[list[LoadViewer]]],
) -> list[float]:
    """Return the server's growth in KiB per subscriber, at each number of subscribers."""
    first, *steps = sizes.subscribers
    readers = await connect([ids[number % len(ids)] for number in range(first)])
    await asyncio.sleep(_SETTLE_S)
    before, grown = server.memory(), []
    for count in steps:
        more = [ids[number % len(ids)] for number in range(len(readers), count)]
        readers.extend(await connect(more))
        await asyncio.sleep(_SETTLE_S)
        grown.append((server.memory() - before) / (count - first) / 1024)
    close_all([reader.wire for reader in readers])
    return grown


def ms(nanoseconds: Sequence[int], share: float) -> float:
    """Return a percentile in milliseconds; 0 without values."""
    return percentile(nanoseconds, share) / 1e6 if nanoseconds else 0.0
