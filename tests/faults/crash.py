"""The crash checker: kills the server again and again while everybody talks, then compares.

By hand: `python -m tests.faults.crash --seed 7 --kills 20`. It prints what happened and what is
wrong, and leaves with status 1 if anything is. The seed decides what people and agents do and when
the server dies; how the processes interleave is the machine's.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.clients.account import Account
from tests.faults.clients.journal import Journal, Kind
from tests.faults.clients.people import Person
from tests.faults.clients.talkers import Pace, Troupe
from tests.faults.clients.watchers import Watcher
from tests.faults.servers.broken import FAULTS, SOUND
from tests.faults.servers.cluster import CUTS, KILLS, ROLL, Cluster
from tests.faults.servers.server import CrashingServer, WholeServer
from tests.faults.verdict import ahead, judge, untold

SETTLE_S = 120.0
TOLD_WITHIN_S = 60.0
TAKEN_OVER_WITHIN_S = 30.0
UNTOLD_AFTER_S = 12.0
"""More than twice the 5 s in which a sound server finds lost events."""
ENVIRONMENT = {"VOXQL_START_TIMEOUT_S": "2", "VOXQL_GRACE_S": "2"}
"""Shorter than in production, so that these deadlines pass during a run."""

KILLED = (
    "redis_not_reached",
    "rate_limits_local",
    "database_not_reached",
    "database_not_written",
    "database_not_ready",
)
"""What a server may log while Redis or PostgreSQL is killed."""


@dataclass
class Run:
    """One run of the checker and its results."""

    folder: Path
    seed: int
    kills: int = 20
    sessions: int = 20
    finals: float = 260.0
    """Finals a second if everybody talked all the time; pauses leave about 200."""
    fault: str = SOUND
    is_whole: bool = False
    """Start `voxql serve` itself each time."""
    servers: int = 1
    """Server processes; several use PostgreSQL and Redis, which are killed too."""
    acts: Sequence[str] = KILLS
    """What happens to several servers; see `Cluster`."""
    up: tuple[float, float] = (0.1, 2.0)
    """Minimum and maximum seconds between a start and the next kill, not counting the start."""
    journal: Journal = field(default_factory=Journal)
    watchers: list[Watcher] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.journal.of_several = self.servers > 1
        self.rng = random.Random(self.seed)
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def check(self) -> Journal:
        """Run everything; the journal then holds every violation."""
        began = time.monotonic()
        server = self._server()
        async with server:
            try:
                await self._play(server)
                await self._compare(server)
            finally:
                await self._end_tasks()
        self._read_log(server.log)
        if isinstance(server, Cluster):
            for what, number in server.killed.items():
                self.journal.counts[f"kills: {what}"] = number
        self.seconds = time.monotonic() - began
        return self.journal

    def _server(self) -> CrashingServer:
        if self.servers > 1:
            rng = random.Random(self.rng.random())
            return Cluster(
                self.folder,
                count=self.servers,
                rng=rng,
                acts=self.acts,
                fault=self.fault,
                environment=ENVIRONMENT,
            )
        if self.is_whole:
            return WholeServer(self.folder, environment=ENVIRONMENT)
        return CrashingServer(self.folder, fault=self.fault, environment=ENVIRONMENT)

    # ------------------------------------------------------------------ the play

    async def _play(self, server: CrashingServer) -> None:
        accounts = [Account(server.url, self.journal) for _ in range(4)]
        for account in accounts:
            await account.open()
        troupe = Troupe(
            server.url,
            server.worker_key,
            self.journal,
            self.rng,
            Pace(finals=self.finals / self.sessions),
            places=4 * self.sessions,
        )
        self._start(troupe.worker.run())
        await troupe.worker.connected()
        people = [
            Person(
                accounts[number % 4],
                accounts[(number + 1) % 4],
                self.journal,
                random.Random(self.rng.random()),
                self._watch,
                troupe.cut,
                knows_every_agent=self.servers == 1,
            )
            for number in range(self.sessions)
        ]
        talks = [self._start(person.run()) for person in people]
        began = time.monotonic()
        await self._kill_and_start(server, troupe)
        self.journal.counts["seconds of talk"] = round(time.monotonic() - began)
        for person in people:
            person.is_leaving.set()
        await asyncio.wait(talks, timeout=SETTLE_S)
        for task in talks:
            if not task.done():
                self.journal.violated(Kind.FAULT, "a person never had an answer")
        left = await troupe.finish(SETTLE_S)
        if left:
            self.journal.violated(Kind.FAULT, f"{left} agents could never leave")
        for account in accounts:
            await account.close()

    async def _kill_and_start(self, server: CrashingServer, troupe: Troupe) -> None:
        await asyncio.sleep(1.0)
        for number in range(self.kills):
            # Most kills hit a serving process; the others hit any moment, including the start.
            if number and self.rng.random() < 0.75:
                await server.opened()
            await asyncio.sleep(self.rng.uniform(*self.up))
            status = await server.kill()
            self.journal.counts["kills"] += 1
            if status != -9:
                self.journal.violated(Kind.FAULT, f"the server had ended by itself: {status}")
            if self.rng.random() < 0.3:
                troupe.kill_one()
            await asyncio.sleep(self.rng.uniform(0, 0.3))
            await server.begin()
        await server.opened()
        await asyncio.sleep(2.0)

    def _watch(self, account: Account, session: str) -> Watcher:
        """Watch a conversation; every third one gets a second subscriber, who joins later."""
        chosen = self._watcher(account, session)
        if self.rng.random() < 0.33:
            self._watcher(account, session)
        return chosen

    def _watcher(self, account: Account, session: str) -> Watcher:
        rng = random.Random(self.rng.random())
        watcher = Watcher(self.journal, account.url, account.token, session, rng)
        self.watchers.append(watcher)
        self._start(watcher.run())
        return watcher

    # ------------------------------------------------------------------ the end

    async def _compare(self, server: CrashingServer) -> None:
        await self._see_who_is_told(server)
        await self._end_tasks()
        if status := await server.stop():
            self.journal.violated(Kind.FAULT, f"SIGTERM ended the server with {status}")
        await server.start()
        await self._catch_up()
        if self.servers > 1:
            # A killed server may have published what it did not write. That is overwritten once
            # another server takes the session over, some ten seconds after a start at most.
            with suppress(TimeoutError):
                async with asyncio.timeout(TAKEN_OVER_WITHIN_S):
                    while ahead(_database(server), self.watchers):
                        await asyncio.sleep(1.0)
                        await self._catch_up()
        await server.stop()
        judge(_database(server), self.journal, self.watchers)

    async def _catch_up(self) -> None:
        gate = asyncio.Semaphore(10)

        async def catch_up(watcher: Watcher) -> None:
            async with gate:
                try:
                    await watcher.catch_up()
                except (OSError, TimeoutError) as error:
                    self.journal.violated(Kind.FAULT, f"{watcher.session}: {error!r}")

        await asyncio.gather(*map(catch_up, self.watchers))

    async def _see_who_is_told(self, server: CrashingServer) -> None:
        """Check that watchers of ended sessions are soon told so, and hold all that was said."""
        broken_within = UNTOLD_AFTER_S if self.servers > 1 else 1.0
        with suppress(TimeoutError):
            await self.journal.until(
                lambda: not untold(_database(server), self.watchers),
                TOLD_WITHIN_S if self.fault == SOUND else broken_within,
            )
        for session in untold(_database(server), self.watchers):
            self.journal.violated(Kind.UNTOLD, session)
        ended = [watcher for watcher in self.watchers if watcher.ended == "SESSION_ENDED"]
        self.journal.counts["views of ended sessions"] = len(ended)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        return task

    async def _end_tasks(self) -> None:
        tasks, self._tasks = list(self._tasks), {}
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.journal.violated(Kind.FAULT, f"a part of the checker failed: {outcome!r}")

    def _read_log(self, log: Path) -> None:
        if self.fault != SOUND:
            return
        expected = KILLED if self.servers > 1 else ()
        for line in log.read_text(errors="replace").splitlines():
            if any(name in line for name in expected):
                continue
            if "[error" in line or "Traceback" in line:
                self.journal.violated(Kind.FAULT, f"in the server's log: {line[:200]}")

    def report(self) -> str:
        """Return a summary and all violations."""
        counts = self.journal.counts
        rate = counts["finals"] / max(1, counts["seconds of talk"])
        lines = [f"seed {self.seed}, {self.seconds:.0f} s, {rate:.0f} finals a second"]
        lines += [f"  {name:<28} {number}" for name, number in sorted(counts.items())]
        lines += [f"  {len(self.watchers)} subscribers"]
        lines += [f"WRONG {violation}" for violation in self.journal.violations]
        return "\n".join(lines)


def _database(server: CrashingServer) -> Path | str:
    return server.database_url if isinstance(server, Cluster) else server.database


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.faults.crash")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--finals", type=float, default=260.0, help="a second")
    parser.add_argument("--fault", choices=[SOUND, *FAULTS], default=SOUND)
    parser.add_argument("--serve", action="store_true", help="start `voxql serve` itself")
    parser.add_argument("--servers", type=int, default=1, help="server processes")
    parser.add_argument("--cuts", action="store_true", help="cut servers off, too (needs root)")
    parser.add_argument("--folder", type=Path, help="keep the data and the server's log here")
    given = parser.parse_args()
    # Broken connections are expected here.
    logging.getLogger("agent_bridge").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="voxql-crash-") as folder:
        run = Run(
            given.folder or Path(folder),
            given.seed,
            kills=given.kills,
            sessions=given.sessions,
            finals=given.finals,
            fault=given.fault,
            is_whole=given.serve,
            servers=given.servers,
            acts=(*KILLS, ROLL, *(CUTS if given.cuts else ())),
        )
        asyncio.run(run.check())
    print(run.report())
    return 1 if run.journal.violations else 0


if __name__ == "__main__":
    sys.exit(main())
