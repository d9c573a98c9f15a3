"""A conversation with the shipped agent leaves no word or secret in the log."""

import asyncio
import json
from typing import Any

import httpx

from tests.conftest import StartServer
from tests.graphql_socket import subscribe
from tests.programs.server_process import ServerProcess
from tests.storage.writes import SECONDS

TITLE, TYPED, REPORTED = "Zanzibarine plans", "quetzalcoatlus hello there", "axolotlish aside"
NAME, EMAIL, PASSWORD = "Brunhildegard robot", "thusnelda@example.org", "sesamstrasse-4711"

START = """mutation($input: StartNewChatInput!) {
  startNewChat(input: $input) { session { id } connection { token } }
}"""
WATCH = """subscription($id: ID!) {
  transcripts(sessionId: $id) { isCaughtUp utterances { role text isFinal } }
}"""
TYPE = "mutation($input: SendMessageInput!) { sendMessage(input: $input) { utterance { id } } }"
SAVE = "mutation($input: SaveSessionInput!) { saveSession(input: $input) { createdCount } }"
TOKEN = "mutation($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret } }"
SIGN_UP = "mutation($input: SignUpInput!) { signUp(input: $input) { viewer { id } } }"


class Asker:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def ask(self, query: str, **given: Any) -> Any:
        body = {"query": query, "variables": {"input": given}}
        answer = (await self.client.post("/graphql", json=body)).json()
        assert "errors" not in answer, answer
        [data] = answer["data"].values()
        return data


async def converse(server: ServerProcess) -> set[str]:
    """Sign up, talk, get an answer and save; return what no log may contain."""
    async with httpx.AsyncClient(
        base_url=server.url, headers={"Origin": server.url}, timeout=SECONDS
    ) as client:
        person = Asker(client)
        await person.ask(SIGN_UP, email=EMAIL, password=PASSWORD)
        token = (await person.ask(TOKEN, name=NAME, scopes=["SESSIONS_READ"]))["secret"]
        begun = await person.ask(START, title=TITLE)
        session = begun["session"]["id"]
        async with subscribe(server.url, token, WATCH, {"id": session}) as events:
            await typed(person, session)
            reply = await answer(events)
        await person.ask(
            SAVE,
            sessionId=session,
            messages=[
                {"key": "m", "role": "USER", "text": REPORTED, "timestamp": "2026-11-22T12:00:00Z"}
            ],
        )
        bad = {"query": f'mutation {{ renameSession(input: {{title: "{TITLE}"}}) {{ x }} }}'}
        await client.post("/graphql", json=bad)
        secrets = {token, begun["connection"]["token"], *client.cookies.values()}
    return secrets | {TITLE, TYPED, REPORTED, NAME, EMAIL, PASSWORD, reply}


async def typed(person: Asker, session: str) -> None:
    """Type a line as soon as the agent is there."""
    async with asyncio.timeout(SECONDS):
        while True:
            given = {"sessionId": session, "key": "typed", "text": TYPED}
            body = {"query": TYPE, "variables": {"input": given}}
            if "errors" not in (await person.client.post("/graphql", json=body)).json():
                return


async def answer(events: Any) -> str:
    """Wait for the agent's reply."""
    async with asyncio.timeout(SECONDS):
        async for event in events:
            for utterance in event["data"]["transcripts"]["utterances"]:
                if utterance["role"] == "AGENT" and utterance["isFinal"]:
                    return str(utterance["text"])
    raise AssertionError("the stream ended without a reply")


async def test_no_log_has_a_word_a_name_or_a_secret(start_server: StartServer) -> None:
    """This holds for the debug logs of the server, its agent and their libraries."""
    settings = {"VOXQL_AGENT": "local", "VOXQL_LOG_LEVEL": "debug"}
    server = await asyncio.to_thread(lambda: start_server(**settings))
    await asyncio.to_thread(server.wait_for, "conversations can begin")

    secrets = await converse(server)
    assert await asyncio.to_thread(server.stop) == 0

    secrets |= {path.read_text().strip() for path in server.data_dir.glob("*.key")}
    log = "\n".join(server.lines)
    assert "worker connected" in log
    for secret in secrets:
        assert secret not in log
        assert json.dumps(secret)[1:-1] not in log
    # Not even one word of them may be logged.
    for word in (text.split()[0] for text in (TITLE, TYPED, REPORTED, NAME)):
        assert word not in log
