"""A real server with one account and one worker, whose agents a test speaks through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from agent_bridge.client.bridge import BridgeClient, new_segment
from agent_bridge.client.worker import StartJob, Worker
from agent_bridge.protocol import Utterance
from tests.faults.clients.account import BEGIN, Account
from tests.faults.clients.journal import Journal
from tests.faults.clients.talkers import NAME, Impatient, NotedOutbox
from tests.faults.clients.watchers import Watcher
from tests.faults.servers.broken import SOUND
from tests.faults.servers.server import CrashingServer


class Agent(BridgeClient):
    """A bridge client that a test speaks through; it records acknowledged finals."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token, backoff=Impatient(), on_dropped=self._note_dropped)
        self._outbox = NotedOutbox(self._note_settled)
        self.promised: dict[str, str] = {}
        """Texts of acknowledged finals, by segment."""
        self.dropped: list[tuple[str, str]] = []
        """Segment and code of each utterance that was refused or never settled."""

    def say(self, text: str, *, final: bool = True, segment: str | None = None) -> str:
        """Say something as the user; return the segment."""
        segment = segment or new_segment()
        now = datetime.now(UTC)
        self.utter(Utterance(segment=segment, role="USER", text=text, final=final, started_at=now))
        return segment

    async def settled(self, within: float = 30.0) -> None:
        """Wait until every final is acknowledged or refused."""
        async with asyncio.timeout(within):
            await self._until(lambda: not self.unsettled)

    async def answered(self, within: float = 30.0) -> None:
        """Wait until the server has taken everything, interims included."""
        async with asyncio.timeout(within):
            await self._until(lambda: not self._outbox._order)

    async def vanish(self) -> None:
        """Disconnect like a killed process, without a goodbye."""
        await self._end()

    def _note_settled(self, utterance: Utterance) -> None:
        self.promised[utterance.segment] = utterance.text

    def _note_dropped(self, utterance: Utterance, code: str) -> None:
        self.promised.pop(utterance.segment, None)
        self.dropped.append((utterance.segment, code))


@dataclass
class Stage:
    """A server under attack, with what a test needs to drive it."""

    server: CrashingServer
    account: Account
    jobs: "asyncio.Queue[StartJob]"
    exits: AsyncExitStack
    journal: Journal = field(default_factory=Journal)

    async def begin(self) -> StartJob:
        """Start a conversation; return its agent's job."""
        await self.account.ask(BEGIN, {})
        async with asyncio.timeout(10):
            return await self.jobs.get()

    async def agent(self, job: StartJob, url: str | None = None) -> Agent:
        """Connect an agent, to another URL if one is given."""
        agent = await self.exits.enter_async_context(Agent(url or job.url, job.bridge_token))
        await agent.ready()
        return agent

    async def conversation(self) -> tuple[str, Agent]:
        """Start a conversation and connect its agent; return the session's id and the agent."""
        job = await self.begin()
        return job.session, await self.agent(job)

    def watcher(self, session: str, **options: Any) -> Watcher:
        """Return a subscriber that follows the client's rule for revisions; `run` it."""
        account = self.account
        return Watcher(self.journal, account.url, account.token, session, Random(1), **options)


@asynccontextmanager
async def stage(folder: Path, fault: str = SOUND, **environment: str) -> AsyncIterator[Stage]:
    """Set up a stage and take it down; `fault` is one of tests/faults/servers/broken.py."""
    async with stage_on(CrashingServer(folder, fault=fault, environment=environment)) as set_up:
        yield set_up


@asynccontextmanager
async def stage_on(starting: CrashingServer) -> AsyncIterator[Stage]:
    """Set up a stage on this server, and take both down."""
    jobs: asyncio.Queue[StartJob] = asyncio.Queue()

    async def take(job: StartJob) -> None:
        jobs.put_nowait(job)
        # The job keeps its place: the test decides when an agent leaves.
        await asyncio.Event().wait()

    async with AsyncExitStack() as exits:
        server = await exits.enter_async_context(starting)
        worker = Worker(
            server.url,
            server.worker_key,
            agent_names=[NAME],
            places=1_000,
            on_start=take,
            backoff=Impatient(),
        )
        running = asyncio.create_task(worker.run())
        exits.push_async_callback(_cancelled, running)
        await worker.connected()
        set_up = Stage(server, Account(server.url, Journal()), jobs, exits)
        await set_up.account.open()
        exits.push_async_callback(set_up.account.close)
        yield set_up


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
