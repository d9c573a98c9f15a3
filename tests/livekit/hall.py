"""A real VoxQL and a real LiveKit, with one account and the participants of its sessions."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from livekit import api, rtc
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo, Room

from agent_bridge.livekit.unanswered import LISTED_S
from tests.faults.clients.account import Account, Refused
from tests.faults.clients.journal import Journal
from tests.faults.servers.stage import Agent
from tests.livekit.worker import Job, Worker
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.server_process import ServerProcess

WITHIN_S: Final = 60.0

_STATE: Final = """{ id status endReason utteranceCount agentState
  failure { code message isRetryable } }"""
_CONNECTION: Final = "{ transport url token expiresAt roomName sampleRate }"
START: Final = f"""mutation($input: StartNewChatInput!) {{ startNewChat(input: $input) {{
  saved {{ isSaved createdCount session {{ id status endReason }} }}
  session {_STATE} connection {_CONNECTION} }} }}"""
JOIN: Final = f"""mutation($input: JoinSessionInput!) {{ joinSession(input: $input) {{
  session {_STATE} connection {_CONNECTION} }} }}"""
RETRY: Final = f"""mutation($input: RetryAgentInput!) {{ retryAgent(input: $input) {{
  session {_STATE} connection {_CONNECTION} }} }}"""
SAVE: Final = f"""mutation($input: SaveSessionInput!) {{ saveSession(input: $input) {{
  isSaved createdCount session {_STATE} }} }}"""
DELETE: Final = """mutation($input: DeleteSessionInput!) { deleteSession(input: $input) {
  deletedSessionId } }"""
READ: Final = """query($id: ID!) { session(id: $id) {
  id status endReason utteranceCount agentState failure { code message isRetryable }
  utterances(first: 100) { nodes { key text role isFinal isInterrupted source } } } }"""

__all__ = ["Hall", "Refused", "hall"]


@dataclass
class Hall:
    """The servers and clients of a test over LiveKit."""

    server: ServerProcess
    livekit: LiveKitServer
    account: Account
    api: api.LiveKitAPI
    """Another client with the same key and all permissions."""
    exits: AsyncExitStack
    agent_name: str = field(default_factory=lambda: f"agent-{uuid4().hex}")
    """Unique in each test, so no worker gets the conversations of another test."""

    # ------------------------------------------------------------------ the person, over GraphQL

    async def start(self, **given: Any) -> dict[str, Any]:
        return await self.account.ask(START, {"agentName": self.agent_name, **given})

    async def join(self, session: str) -> dict[str, Any]:
        return await self.account.ask(JOIN, {"sessionId": session})

    async def retry(self, session: str) -> dict[str, Any]:
        return await self.account.ask(RETRY, {"sessionId": session})

    async def save(self, session: str) -> dict[str, Any]:
        return await self.account.ask(SAVE, {"sessionId": session})

    async def delete(self, session: str) -> None:
        await self.account.ask(DELETE, {"sessionId": session})

    async def read(self, session: str) -> dict[str, Any]:
        """Return the session's current state and its utterances."""
        assert self.account.http is not None
        async with self.account.http.post(
            f"{self.server.url}/graphql",
            json={"query": READ, "variables": {"id": session}},
            headers={"Authorization": f"Bearer {self.account.token}"},
        ) as response:
            read: dict[str, Any] = (await response.json())["data"]["session"]
        return read

    async def texts(self, session: str) -> list[str]:
        return [one["text"] for one in (await self.read(session))["utterances"]["nodes"]]

    async def becomes(self, session: str, status: str, within: float = WITHIN_S) -> dict[str, Any]:
        """Wait until the session has this status; return it."""

        async def look() -> dict[str, Any] | None:
            read = await self.read(session)
            return read if read["status"] == status else None

        found: dict[str, Any] = await until(look, within)
        return found

    # ------------------------------------------------------------------ rooms

    async def worker(self, *, announces: bool = False) -> Worker:
        """Start a worker that runs until the test ends."""
        worker = Worker(self.livekit.url, self.agent_name, announces=announces)
        return await self.exits.enter_async_context(worker)

    async def agent(self, job: Job) -> Agent:
        """Connect a job's agent to the bridge with the job's metadata, and report it ready."""
        agent = await self.bridge(job)
        await agent.ready()
        return agent

    async def bridge(self, job: Job) -> Agent:
        """Connect a job's agent to the bridge without reporting it ready."""
        return await self.exits.enter_async_context(Agent(job.told["url"], job.told["token"]))

    async def person(self, connection: dict[str, Any]) -> rtc.Room:
        """Connect the person's client to the room."""
        return await self.enter(connection["url"], connection["token"])

    async def enter(self, url: str, token: str) -> rtc.Room:
        room = rtc.Room()
        await room.connect(url, token)
        self.exits.push_async_callback(room.disconnect)
        return room

    async def talk(self, worker: Worker) -> tuple[str, Agent, dict[str, Any], Job]:
        """Start a conversation with its agent; return session, agent, connection and job."""
        return await self._talk(await self.start(), worker)

    async def talk_with_person(self, worker: Worker) -> tuple[str, Agent, rtc.Room]:
        """Start one whose person joins before the agent; return session, agent and room."""
        started = await self.start()
        room = await self.person(started["connection"])
        session, agent, _, _ = await self._talk(started, worker)
        return session, agent, room

    async def _talk(
        self, started: dict[str, Any], worker: Worker
    ) -> tuple[str, Agent, dict[str, Any], Job]:
        session = started["session"]["id"]
        job = await worker.job()
        agent = await self.agent(job)
        await self.becomes(session, "ACTIVE")
        return session, agent, started["connection"], job

    async def rooms(self, name: str) -> list[Room]:
        answer = await self.api.room.list_rooms(api.ListRoomsRequest(names=[name]))
        return list(answer.rooms)

    async def is_deleted(self, name: str, within: float = WITHIN_S) -> None:
        """Wait until the room is gone."""

        async def look() -> bool:
            return not await self.rooms(name)

        await until(look, within)

    async def dispatches(self, room: str) -> list[AgentDispatch]:
        """Return this room's dispatches as LiveKit lists them."""
        return list(await self.api.agent_dispatch.list_dispatch(room))

    async def waits_for(self, room: str, seconds: float, attempt: int = 1) -> AgentDispatch:
        """Wait until the room's newest dispatch, of at least this attempt, is this old."""

        async def look() -> AgentDispatch | None:
            newest = max(await self.dispatches(room), key=attempt_of, default=None)
            if newest is None or attempt_of(newest) < attempt:
                return None
            return newest if newest.state.created_at / 1e9 + seconds < time.time() else None

        found: AgentDispatch = await until(look)
        return found

    async def was_asked_at_once(self, room: str, before: AgentDispatch) -> None:
        """Check that the newest dispatch did not wait for the previous one's job to be listed.

        Both times are from LiveKit's clock, so this machine's speed does not matter.
        """
        newest = max(await self.dispatches(room), key=attempt_of)
        assert attempt_of(newest) > attempt_of(before)
        assert (newest.state.created_at - before.state.created_at) / 1e9 < LISTED_S

    async def people_in(self, name: str) -> list[ParticipantInfo]:
        request = api.ListParticipantsRequest(room=name)
        return list((await self.api.room.list_participants(request)).participants)

    async def people(self, name: str) -> set[str]:
        return {one.identity for one in await self.people_in(name)}

    async def metrics(self) -> str:
        assert self.account.http is not None
        async with self.account.http.get(f"{self.server.url}/metrics") as response:
            return await response.text()

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        assert self.account.http is not None
        async with self.account.http.get(f"{self.server.url}/readyz") as response:
            return response.status, await response.json()


def attempt_of(dispatch: AgentDispatch) -> int:
    """Return a dispatch's attempt number."""
    attempt: int = json.loads(dispatch.metadata)["voxql"]["attempt"]
    return attempt


async def until(look: Callable[[], Awaitable[Any]], within: float = WITHIN_S) -> Any:
    """Poll until there is a result; fail on a timeout."""
    began = time.monotonic()
    while not (found := await look()):
        assert time.monotonic() - began < within, f"not within {within} s"
        await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def hall(server: ServerProcess, livekit: LiveKitServer) -> AsyncIterator[Hall]:
    """Sign in a person; disconnect everybody at the end."""
    async with AsyncExitStack() as exits:
        account = Account(server.url, Journal())
        await account.open()
        exits.push_async_callback(account.close)
        control = api.LiveKitAPI(livekit.http_url, KEY, SECRET)
        exits.push_async_callback(control.aclose)
        yield Hall(server, livekit, account, control, exits)
