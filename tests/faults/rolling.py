"""Restarts several servers behind nginx, one after the other, while everybody talks and reads.

By hand: `python -m bench restarts`.
"""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from agent_bridge.client.link import Backoff
from tests.faults.clients.account import BEGIN, Account
from tests.faults.clients.journal import Kind
from tests.faults.clients.talkers import Pace, Troupe
from tests.faults.clients.watchers import PASSING, Watcher
from tests.faults.crash import SETTLE_S, Run
from tests.faults.servers.cluster import Cluster
from tests.faults.servers.server import CrashingServer

SESSIONS_OF_ONE: Final = 10
"""Sessions of each account."""
ALL_TALK_WITHIN_S: Final = 60.0
BACK_WITHIN_S: Final = 30.0
"""Within this time, even an unlucky client is back."""


@dataclass
class PatientWatcher(Watcher):
    """A subscriber who reconnects as the documentation asks, and measures how long that takes."""

    absences: list[float] = field(default_factory=list)
    """Seconds from each loss of the stream until everything missed was there."""
    left_at: float | None = None

    async def run(self) -> None:
        """Watch until nothing more can come."""
        backoff = Backoff()
        while self.ended is None:
            began = time.monotonic()
            with suppress(*PASSING):
                await self._once(cut_after=None)
            if self.ended is None:
                self.is_caught_up = False
                self.left_at = self.left_at or time.monotonic()
                backoff.held(time.monotonic() - began)
                await asyncio.sleep(backoff.pause())

    def _take(self, payload: dict[str, object]) -> None:
        super()._take(payload)
        if self.is_caught_up and self.left_at is not None:
            self.absences.append(time.monotonic() - self.left_at)
            self.left_at = None


@dataclass
class RollingRestart(Run):
    """Restarts every server once; `kills` and `seed` have no meaning.

    Each session has an agent and a viewer. Each connection goes to any of the servers.
    """

    seed: int = 0
    servers: int = 3
    interims: int = 3
    """Interims before each final."""
    between_s: float = 3.0
    """Seconds between a server's return and the next restart."""
    restarts_s: list[float] = field(default_factory=list)
    """How long each server was away."""

    def _server(self) -> CrashingServer:
        return Cluster(self.folder, count=self.servers, is_behind_nginx=True)

    async def _play(self, server: CrashingServer) -> None:
        assert isinstance(server, Cluster)
        troupe = Troupe(
            server.url,
            server.worker_key,
            self.journal,
            self.rng,
            Pace(self.finals / self.sessions, self.interims, rambles=False),
            places=2 * self.sessions,
        )
        self._start(troupe.worker.run())
        await troupe.worker.connected()
        accounts = await self._accounts(server.url)
        await asyncio.gather(*map(self._begin, accounts))
        await self.journal.until(
            lambda: len({session for session, _ in troupe.talkers}) == self.sessions,
            within=ALL_TALK_WITHIN_S,
        )
        began = time.monotonic()
        await asyncio.sleep(self.between_s)
        for one in server.servers:
            stopped = time.monotonic()
            await asyncio.to_thread(one.stop)
            await asyncio.to_thread(one.start)
            self.restarts_s.append(time.monotonic() - stopped)
            await asyncio.sleep(self.between_s)
        await self._all_back()
        self.journal.counts["seconds of talk"] = round(time.monotonic() - began)
        if left := await troupe.finish(SETTLE_S):
            self.journal.violated(Kind.FAULT, f"{left} agents could never leave")
        for account in accounts:
            await account.close()

    async def _accounts(self, url: str) -> list[Account]:
        count = -(-self.sessions // SESSIONS_OF_ONE)
        accounts = [Account(url, self.journal) for _ in range(count)]
        for account in accounts:
            await account.open()
        return accounts

    async def _begin(self, account: Account) -> None:
        for number in range(SESSIONS_OF_ONE):
            if len(self.watchers) >= self.sessions:
                return
            key = f"{account.token[-8:]}-{number}"
            begun = await account.ask(BEGIN, {"idempotencyKey": key, "title": f"Talk {key}"})
            session = begun["session"]["id"]
            self.journal.started_keys[key] = session
            conversation = self.journal.conversation(session, account.token)
            conversation.title = f"Talk {key}"
            self._watcher(account, session)

    def _watcher(self, account: Account, session: str) -> Watcher:
        watcher = PatientWatcher(
            self.journal, account.url, account.token, session, random.Random(session)
        )
        self.watchers.append(watcher)
        self._start(watcher.run())
        return watcher

    async def _all_back(self) -> None:
        """Wait until every viewer holds what it missed."""
        await self.journal.until(
            lambda: all(watcher.is_caught_up for watcher in self.watchers), within=BACK_WITHIN_S
        )

    @property
    def absences(self) -> list[float]:
        """Seconds for which viewers had no stream, each time they lost one."""
        found = [one.absences for one in self.watchers if isinstance(one, PatientWatcher)]
        return [seconds for some in found for seconds in some]

    @property
    def delays(self) -> list[float]:
        """Seconds from a final's end until its acknowledgement, restarts included."""
        return [
            when - ended.timestamp()
            for conversation in self.journal.conversations.values()
            for spoken in conversation.segments.values()
            for revision, when in spoken.acknowledged.items()
            if (ended := spoken.said[revision].ended_at) is not None
        ]
