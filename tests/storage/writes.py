"""Every kind of write that a user can cause, and helpers to wait for background writes."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from agent_bridge.client.worker import StartJob
from tests.agent_bridge.wire import Raw, raw
from tests.faults.clients.account import RETRY
from tests.faults.servers.stage import Stage
from tests.storage.disk import rows

SECONDS = 15.0
UNHURRIED = {f"VOXQL_{name}_S": "600" for name in ("RETRY", "START_TIMEOUT", "ABANDON")}
"""No deadline passes during the preparation, however slow the machine is."""
NOT_STORED = "This could not be stored. Try again"

START = "mutation($input: StartNewChatInput!) { startNewChat(input: $input) { session { id } } }"
SAVE = "mutation($input: SaveSessionInput!) { saveSession(input: $input) { createdCount } }"
RENAME = "mutation($input: RenameSessionInput!) { renameSession(input: $input) { session { id } } }"
DELETE = (
    "mutation($input: DeleteSessionInput!) { deleteSession(input: $input) { deletedSessionId } }"
)
TYPE = "mutation($input: SendMessageInput!) { sendMessage(input: $input) { utterance { id } } }"
SIGN_UP = "mutation($input: SignUpInput!) { signUp(input: $input) { viewer { id } } }"
GUEST = "mutation { signInAsGuest { viewer { id } } }"
TOKEN = "mutation($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret } }"
SIGN_IN = "mutation($input: SignInInput!) { signIn(input: $input) { viewer { id } } }"
SIGN_OUT = "mutation { signOut { isSignedOut } }"
REVOKE = (
    "mutation($input: RevokeApiTokenInput!) { revokeApiToken(input: $input) { revokedApiTokenId } }"
)
JOIN = """mutation($input: JoinSessionInput!) {
  joinSession(input: $input) { connection { url token } } }"""
MAKE = """mutation($input: CreateApiTokenInput!) {
  createApiToken(input: $input) { apiToken { id } } }"""
STATUS = "SELECT status FROM sessions WHERE id = ?"
BACK_BY = "SELECT agent_back_by FROM sessions WHERE id = ?"
BOB = {"email": "bob@example.org", "password": "battery staple"}
HISTORY = "{ sessionHistory(first: 5) { edges { node { id preview } } } }"


class Browser:
    """A user signed in by cookie, which creating tokens requires, on a stage's server."""

    def __init__(self, on: Stage) -> None:
        headers = {"Origin": on.server.url}
        self.client = httpx.AsyncClient(base_url=on.server.url, headers=headers, timeout=SECONDS)
        on.exits.push_async_callback(self.client.aclose)
        self._token = on.account.token

    async def ask(self, query: str, given: Any = None, *, as_owner: bool = True) -> dict[str, Any]:
        """Return the answer, asking as the owner of the stage's sessions or with this cookie."""
        headers = {"Authorization": f"Bearer {self._token}"} if as_owner else {}
        variables = {} if given is None else {"input": given}
        body = {"query": query, "variables": variables}
        answer: dict[str, Any] = (
            await self.client.post("/graphql", json=body, headers=headers)
        ).json()
        return answer

    async def is_ready(self) -> tuple[int, str]:
        """Return the status and the state of the database."""
        response = await self.client.get("/readyz")
        return response.status_code, str(response.json()["database"])


Write = tuple[str, str, dict[str, Any] | None, bool]
"""Name, query, input, and whether the owner of the stage's sessions sends it."""


async def kinds_of_writes(on: Stage, browser: Browser) -> list[Write]:
    """Prepare one write for each mutation, for a browser that signs in as a guest.

    In this order, each of them can succeed after the ones before it.
    """
    session, _ = await on.conversation()
    running, _ = await on.conversation()
    failed = await on.begin()
    async with raw(on.server.url) as agent:
        await agent.send("hello", token=failed.bridge_token)
        assert (await agent.receive())["type"] == "welcome"
        await agent.send("bye", reason="LEFT")
        await agent.closed()
    await browser.ask(SIGN_UP, BOB, as_owner=False)
    await browser.ask(SIGN_OUT, as_owner=False)
    await browser.ask(GUEST, as_owner=False)
    answer = await browser.ask(MAKE, {"name": "old", "scopes": ["SESSIONS_READ"]}, as_owner=False)
    token = answer["data"]["createApiToken"]["apiToken"]["id"]
    message = {
        "key": "told-1",
        "role": "USER",
        "text": "told by the client",
        "timestamp": "2026-11-22T12:00:00Z",
    }
    return [
        ("sendMessage", TYPE, {"sessionId": running, "key": "typed-1", "text": "a line"}, True),
        ("renameSession", RENAME, {"sessionId": session, "title": "Another title"}, True),
        ("saveSession", SAVE, {"sessionId": session, "messages": [message]}, True),
        ("startNewChat", START, {"idempotencyKey": "once"}, True),
        ("retryAgent", RETRY, {"sessionId": failed.session}, True),
        ("revokeApiToken", REVOKE, {"id": token}, False),
        ("createApiToken", TOKEN, {"name": "robot", "scopes": ["SESSIONS_READ"]}, False),
        ("signUp", SIGN_UP, {"email": "ada@example.org", "password": "correct horse"}, False),
        ("signInAsGuest", GUEST, None, False),
        ("signIn", SIGN_IN, BOB, False),
        ("signOut", SIGN_OUT, None, False),
        ("deleteSession", DELETE, {"sessionId": session}, True),
    ]


@dataclass
class Arrivals:
    """Two agents and a caller's audio connection that arrive while nothing can be stored."""

    on: Stage
    lost: StartJob
    """Its agent is about to come back, and its caller about to connect."""
    media: dict[str, str]
    """Where and with which token that caller connects."""
    met: StartJob
    """Its agent has said hello over `agent` and is about to send ready."""
    agent: Raw

    async def are_refused(self) -> None:
        """Check that each is closed with 1011, which tells clients to come back."""
        async with raw(self.on.server.url) as back:
            await back.send("hello", token=self.lost.bridge_token)
            assert await back.closed() == 1011
        await self.agent.send("ready")
        assert await self.agent.closed() == 1011
        async with self._person() as person:
            with suppress(ConnectionClosed):
                while True:
                    await person.recv()
            assert person.close_code == 1011
            assert (person.close_reason or "").startswith("INTERNAL: ")

    async def are_taken_in(self) -> None:
        """Check that each connects again and the conversations go on."""
        database = self.on.server.database
        async with raw(self.on.server.url) as back, raw(self.on.server.url) as agent:
            for each, job in ((back, self.lost), (agent, self.met)):
                await each.send("hello", token=job.bridge_token)
                assert (await each.receive())["isCurrent"] is True
                await each.send("ready")
            await until(lambda: rows(database, STATUS, self.met.session) == [("ACTIVE",)])
            await until(lambda: rows(database, BACK_BY, self.lost.session)[0][0] is None)
            async with self._person() as person:
                assert json.loads(await person.recv())["type"] == "welcome"

    @asynccontextmanager
    async def _person(self) -> AsyncIterator[ClientConnection]:
        audio = [Subprotocol("voxql.audio.v1")]
        async with connect(self.media["url"], subprotocols=audio) as socket:
            await socket.send(json.dumps({"type": "hello", "token": self.media["token"]}))
            yield socket


@asynccontextmanager
async def arrivals(on: Stage) -> AsyncIterator[Arrivals]:
    """Prepare the arrivals while writes still succeed."""
    database = on.server.database
    lost, met = await on.begin(), await on.begin()
    await (await on.agent(lost)).vanish()
    await until(lambda: rows(database, BACK_BY, lost.session)[0][0])
    # Don't let the server request another agent: one that comes back in time stays current.
    with closing(sqlite3.connect(database, timeout=SECONDS)) as past_the_server:
        past_the_server.execute("UPDATE sessions SET agent_retry_by = NULL")
        past_the_server.commit()
    joined = await on.account.ask(JOIN, {"sessionId": lost.session})
    async with raw(on.server.url) as agent:
        await agent.send("hello", token=met.bridge_token)
        assert (await agent.receive())["type"] == "welcome"
        yield Arrivals(on, lost, joined["connection"], met, agent)


async def until(condition: Callable[[], Any], within: float = SECONDS) -> Any:
    """Poll the condition until it is true, and return its value."""
    async with asyncio.timeout(within):
        # Another process's progress can only be polled.
        while not (found := await asyncio.to_thread(condition)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found
