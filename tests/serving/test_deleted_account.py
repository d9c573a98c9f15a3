"""`voxql user delete` while a server runs a conversation of the account."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.agent_bridge.wire import raw, words
from tests.faults.servers.stage import stage
from tests.graphql_socket import subscribe
from tests.storage.disk import contents
from tests.storage.test_restore import voxql
from tests.storage.writes import SIGN_UP, TOKEN, Browser

EMAIL = "ada@example.org"
SCOPES = ["SESSIONS_READ", "SESSIONS_WRITE"]
JOIN = """mutation($input: JoinSessionInput!) {
  joinSession(input: $input) { connection { url token } } }"""
WORDS = """subscription($id: ID!) {
  transcripts(sessionId: $id) { isCaughtUp utterances { text } end { reason mayResume } } }"""


async def closed(socket: ClientConnection) -> int | None:
    """Wait until the server closes the connection; return the close code."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(15):
            while True:
                await socket.recv()
    return socket.close_code


async def test_nobody_goes_on_in_a_conversation_that_is_deleted(tmp_path: Path) -> None:
    """Agent, audio and stream end with their reasons, and no utterance is left."""
    async with stage(tmp_path) as on:
        browser = Browser(on)
        await browser.ask(SIGN_UP, {"email": EMAIL, "password": "correct horse"}, as_owner=False)
        made = await browser.ask(TOKEN, {"name": "robot", "scopes": SCOPES}, as_owner=False)
        on.account.token = made["data"]["createApiToken"]["secret"]
        job = await on.begin()
        joined = (await on.account.ask(JOIN, {"sessionId": job.session}))["connection"]
        audio = [Subprotocol("voxql.audio.v1")]
        async with (
            raw(on.server.url) as agent,
            connect(joined["url"], subprotocols=audio) as person,
            subscribe(on.server.url, on.account.token, WORDS, {"id": job.session}) as events,
        ):
            await agent.send("hello", token=job.bridge_token)
            assert (await agent.receive())["type"] == "welcome"
            await agent.send("ready")
            await person.send(json.dumps({"type": "hello", "token": joined["token"]}))
            assert json.loads(await person.recv())["type"] == "welcome"
            await agent.send("utterance", **words(text="a private word"))
            assert (await agent.receive())["type"] == "ack"
            told: list[Any] = []
            while not (told and told[-1]["isCaughtUp"]):
                told.append((await anext(events))["data"]["transcripts"])

            await voxql(on.server.data_dir, "user", "delete", EMAIL, "--yes")

            assert await agent.closed() == 4410
            assert await closed(person) == 4401
            last = [event["data"]["transcripts"] async for event in events][-1]
            assert last["end"] == {"reason": "ACCESS_REVOKED", "mayResume": False}

        async with raw(on.server.url) as late:
            await late.send("hello", token=job.bridge_token)
            assert await late.closed() == 4410
        left = contents(on.server.database)
        assert "private" not in str(left)
        assert EMAIL not in str(left)
