"""An agent with the operator's own language model, connected by two settings."""

import asyncio

import httpx

from tests.conftest import StartServer
from tests.graphql_socket import subscribe
from tests.programs.server_process import ServerProcess
from tests.voice.test_answers import Api

WITHIN_S = 60.0
GUEST = "mutation { signInAsGuest { viewer { id } } }"
TOKEN = """mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ, SESSIONS_WRITE]}) {
  secret } }"""
START = "mutation { startNewChat { session { id } } }"
TYPE = """mutation($id: ID!) {
  sendMessage(input: {sessionId: $id, key: "k", text: "What is the answer?"}) { utterance { id } }
}"""
STATUS = "subscription($id: ID) { sessionUpdates(sessionId: $id) { session { status } } }"
WORDS = """subscription($id: ID!) { transcripts(sessionId: $id) { utterances {
  role text isFinal } } }"""


async def test_the_model_answers_what_is_typed(start_server: StartServer) -> None:
    """The shipped agent starts with the model, whose answer is in the transcript."""
    async with Api().running() as api:
        server = await asyncio.to_thread(
            start_server,
            VOXQL_AGENT="local",
            VOXQL_LLM_BASE_URL=api.url,
            VOXQL_LLM_MODEL="tiny",
        )
        await asyncio.to_thread(server.wait_for, "ready: conversations can begin")
        assert f"  answers   tiny at {api.url.split('/')[2]}" in server.lines

        async with asyncio.timeout(WITHIN_S):
            assert await answer_of(server) == "The answer is forty-two."
        assert api.requests[0]["model"] == "tiny"


async def answer_of(server: ServerProcess) -> str:
    """Type a question in a new conversation; return the agent's answer."""
    async with httpx.AsyncClient(base_url=server.url, headers={"Origin": server.url}) as browser:

        async def ask(query: str, **variables: str) -> dict[str, dict[str, object]]:
            body = {"query": query, "variables": variables}
            answer = (await browser.post("/graphql", json=body)).json()
            assert "errors" not in answer, answer
            data: dict[str, dict[str, object]] = answer["data"]
            return data

        await ask(GUEST)
        token = str((await ask(TOKEN))["createApiToken"]["secret"])
        session = (await ask(START))["startNewChat"]["session"]
        assert isinstance(session, dict)
        given = {"id": str(session["id"])}
        async with subscribe(server.url, token, STATUS, given) as updates:
            async for update in updates:
                if update["data"]["sessionUpdates"]["session"]["status"] == "ACTIVE":
                    break
        await ask(TYPE, **given)
        async with subscribe(server.url, token, WORDS, given) as events:
            async for event in events:
                for said in event["data"]["transcripts"]["utterances"]:
                    if said["role"] == "AGENT" and said["isFinal"]:
                        return str(said["text"])
    raise AssertionError("the stream ended without an answer")
