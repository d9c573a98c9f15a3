"""Agents that talk endlessly through the real bridge client and record what is acknowledged."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from agent_bridge.client.bridge import BridgeClient, InputCommand, StopCommand, new_segment
from agent_bridge.client.link import Backoff, BridgeClosed, Line, Link
from agent_bridge.client.outbox import Outbox
from agent_bridge.client.worker import StartJob, Worker
from agent_bridge.protocol import BRIDGE_DIALECT, Role, Utterance
from tests.faults.clients.journal import Conversation, Journal, Kind, Spoken

NAME = "voxql"


@dataclass
class Impatient(Backoff):
    """Short pauses, for servers that come back within a second."""

    first: float = 0.02
    longest: float = 0.3
    next_s: float | None = None
    """The next pause, if a test has chosen it."""

    def pause(self) -> float:
        chosen, self.next_s = self.next_s, None
        return super().pause() if chosen is None else chosen


class Loose(Link):
    """A connection that a test can break for a chosen time."""

    def __init__(self, url: str) -> None:
        self._pause = Impatient()
        super().__init__(url, BRIDGE_DIALECT, self._pause)
        self._line: Line | None = None

    def cut(self, away_s: float) -> bool:
        """Break the connection for so long; return whether there was one."""
        line, self._line = self._line, None
        if line is None:
            return False
        self._pause.next_s = away_s
        line._socket.transport.abort()
        return True

    async def run(self, converse: Callable[[Line], Awaitable[None]]) -> None:
        async def noted(line: Line) -> None:
            self._line = line
            await converse(line)

        await super().run(noted)


class NotedOutbox(Outbox):
    """An outbox that reports each final the server has settled."""

    def __init__(self, on_settled: Callable[[Utterance], None]) -> None:
        super().__init__()
        self._on_settled = on_settled

    def settle(self, segment: str, revision: int) -> Utterance | None:
        settled = super().settle(segment, revision)
        if settled is not None and settled.final:
            self._on_settled(settled)
        return settled


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an agent talks."""

    finals: float = 10.0
    """Finals a second."""
    interims: int = 2
    """Interims before each final."""
    rambles: bool = True
    """Whether it also says long sentences, 25 interims a second."""


class Talker:
    """One agent in one conversation."""

    def __init__(
        self, job: StartJob, told: Conversation, journal: Journal, rng: random.Random, pace: Pace
    ) -> None:
        self._job = job
        self._told = told
        self._journal = journal
        self._rng = rng
        self._pace = pace
        self._count = 0
        self._is_stopped = asyncio.Event()
        self.bridge = BridgeClient(job.url, job.bridge_token, on_dropped=self._dropped)
        self.bridge._outbox = NotedOutbox(self._settled)
        self.bridge._link = self.link = Loose(job.url)

    async def run(self) -> None:
        """Talk until the server says stop, or until cancelled."""
        async with self.bridge:
            with suppress(BridgeClosed):
                await self.bridge.ready()
            parts = [self._obey(), self._talk()]
            if self._pace.rambles:
                parts.append(self._ramble())
            tasks = [asyncio.create_task(part) for part in parts]
            stopping = asyncio.create_task(self._is_stopped.wait())
            try:
                await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*tasks, stopping):
                    task.cancel()
                await asyncio.gather(*tasks, stopping, return_exceptions=True)
            for task in tasks:
                if not task.cancelled():
                    task.result()
            # An agent does not give up before the server stays up, which may take a while.
            if not await self.bridge.bye("STOPPED", timeout=300.0) and self.bridge.closed is None:
                self._journal.violated(Kind.FAULT, f"{self._told.id}: finals were never settled")

    def hush(self) -> None:
        """Stop talking; what was said is still to be settled."""
        self._is_stopped.set()

    async def _obey(self) -> None:
        async for command in self.bridge.commands():
            match command:
                case InputCommand(key, text):
                    self._journal.counts["typed lines handed over"] += 1
                    if self._told.typed_perhaps.get(key) != text:
                        self._told.typed_perhaps.setdefault(key, text)
                    self._claim_the_persons_key(key)
                case StopCommand():
                    return

    def _claim_the_persons_key(self, key: str) -> None:
        """Try to overwrite the user's typed line: this must be refused and leave no trace."""
        text = f"NEVER agent over typed {self._rng.random()}"
        self._journal.forbidden.append(text)
        now = datetime.now(UTC)
        with suppress(ValueError):
            self.bridge.utter(
                Utterance(segment=key, role="AGENT", text=text, final=True, started_at=now)
            )

    async def _talk(self) -> None:
        """Say short sentences, one after another, at the configured pace."""
        loop = asyncio.get_running_loop()
        step = 1.0 / self._pace.finals / (self._pace.interims + 1)
        due = loop.time() + self._rng.random() * step
        while True:
            segment, role = new_segment(), self._role()
            for part in range(self._pace.interims + 1):
                await asyncio.sleep(max(0.0, due - loop.time()))
                due += step
                self._say(segment, role, part, final=part == self._pace.interims)
            if self._rng.random() < 0.05:
                # Correct a final: an interrupted one replaces it.
                self._say(segment, role, 99, final=True, interrupted=True)

    async def _ramble(self) -> None:
        """Say long sentences beside the short ones; some never end."""
        while True:
            segment, role = new_segment(), self._role()
            for part in range(self._rng.randint(2, 120)):
                self._say(segment, role, part, final=False)
                await asyncio.sleep(0.04)
            if self._rng.random() < 0.9:
                self._say(segment, role, 999, final=True)

    def _role(self) -> Role:
        return "USER" if self._rng.random() < 0.5 else "AGENT"

    def _say(
        self, segment: str, role: Role, part: int, *, final: bool, interrupted: bool = False
    ) -> None:
        spoken = self._told.segments.get(segment)
        if spoken is None:
            spoken = self._told.segments[segment] = Spoken(self._job.attempt)
        now = datetime.now(UTC)
        utterance = Utterance(
            segment=segment,
            revision=len(spoken.said) + 1,
            role=role,
            text=f"{segment[-6:]} says part {part} “{'so ' * self._rng.randint(1, 20)}” ✓",
            final=final,
            started_at=spoken.began,
            ended_at=now if final else None,
            interrupted=interrupted,
            confidence=round(self._rng.random(), 3) if final else None,
            language=self._rng.choice(("en", "de-CH", None)),
            speaker=self._rng.choice(("mic-1", "Zoë", None)),
        )
        if self.bridge.closed is None:
            spoken.said[utterance.revision] = utterance
            self._journal.counts["finals" if final else "interims"] += 1
        self.bridge.utter(utterance)

    def _settled(self, utterance: Utterance) -> None:
        spoken = self._told.segments.get(utterance.segment)
        if spoken is not None:
            spoken.acknowledged[utterance.revision] = time.time()
            self._journal.changed()

    def _dropped(self, utterance: Utterance, code: str) -> None:
        # A refusal also settles it.
        spoken = self._told.segments.get(utterance.segment)
        what = "final" if utterance.final else "interim"
        self._journal.counts[f"{what}s refused {code}"] += 1
        if spoken is not None:
            spoken.acknowledged.pop(utterance.revision, None)
            spoken.refused[utterance.revision] = code


class Troupe:
    """One worker with all its agents."""

    def __init__(
        self, url: str, key: str, journal: Journal, rng: random.Random, pace: Pace, places: int
    ) -> None:
        self._journal = journal
        self._rng = rng
        self._pace = pace
        self.talkers: dict[tuple[str, int], Talker] = {}
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.worker = Worker(
            url,
            key,
            agent_names=[NAME],
            places=places,
            on_start=self._converse,
            backoff=Impatient(),
        )

    async def _converse(self, job: StartJob) -> None:
        told = self._journal.conversation(job.session, "")
        key = (job.session, job.attempt)
        rng = random.Random(self._rng.random())
        talker = self.talkers[key] = Talker(job, told, self._journal, rng, self._pace)
        task = self._tasks[key] = asyncio.ensure_future(talker.run())
        try:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            del self.talkers[key], self._tasks[key]

    def kill_one(self) -> None:
        """End a random agent as a crash would: whatever it had not handed in is lost."""
        if self._tasks:
            self._journal.counts["agents killed"] += 1
            self._rng.choice(list(self._tasks.values())).cancel()

    def cut(self, session: str, away_s: float) -> bool:
        """Break the connection of a session's newest agent; return whether there was one."""
        attempts = [attempt for id_, attempt in self.talkers if id_ == session]
        is_cut = bool(attempts) and self.talkers[session, max(attempts)].link.cut(away_s)
        self._journal.counts["connections cut"] += is_cut
        return is_cut

    async def finish(self, within: float) -> int:
        """Let all agents settle what they said and leave; return how many could not."""
        talkers = list(self.talkers.values())
        for talker in talkers:
            talker.hush()
        tasks = list(self._tasks.values())
        if not tasks:
            return 0
        _, pending = await asyncio.wait(tasks, timeout=within)
        return len(pending)
