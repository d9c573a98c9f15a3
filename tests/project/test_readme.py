"""The operations in the README run exactly as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.graphql_socket import subscribe
from tests.programs.server_process import ROOT, ServerProcess

OPERATIONS = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def echoing_server(start_server: StartServer) -> Iterator[ServerProcess]:
    """A server whose agent is the example that echoes typed lines."""
    server = start_server(VOXQL_AGENT="external")
    key = (server.data_dir / "worker.key").read_text().strip()
    environment = {**os.environ, "VOXQL_URL": server.url, "VOXQL_WORKER_KEY": key}
    worker = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "echo_worker.py")], env=environment
    )
    server.wait_for("agent     ready")
    yield server
    worker.terminate()
    worker.wait(10)


def _run(client: httpx.Client, query: str, **variables: str) -> dict[str, Any]:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


def _operation(name: str) -> str:
    (found,) = [text for text in OPERATIONS if f" {name}" in text.partition("{")[0]]
    return str(found)


async def test_the_five_operations_run_as_printed(echoing_server: ServerProcess) -> None:
    """They get a token, start a conversation, watch, save and find it, in that order."""
    assert len(OPERATIONS) == 5
    url = echoing_server.url
    with httpx.Client(base_url=url) as browser:
        _run(browser, "mutation { signInAsGuest { viewer { id } } }")
        secret = _run(browser, _operation("MakeToken"))["createApiToken"]["secret"]

    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=url, headers=headers) as program:
        begun = _run(program, _operation("Begin"))["startNewChat"]
        assert begun["session"]["failure"] is None
        assert begun["connection"]["transport"] == "LOCAL"
        session_id = begun["session"]["id"]

        said: dict[str, Any] = {}
        is_typed = False
        async with subscribe(url, secret, _operation("Watch"), {"sessionId": session_id}) as events:
            async for event in events:
                transcript = event["data"]["transcripts"]
                if transcript["isCaughtUp"] and not is_typed:
                    is_typed = True
                    await _type_when_active(program, session_id)
                for utterance in transcript["utterances"]:
                    held = said.get(utterance["id"])
                    if held is None or utterance["revision"] > held["revision"]:
                        said[utterance["id"]] = utterance
                finals = [u for u in said.values() if u["isFinal"]]
                if len(finals) == 2:
                    break
        spoken = sorted(said.values(), key=lambda u: u["sortKey"])
        assert [(u["role"], u["text"]) for u in spoken] == [
            ("USER", "Good morning to you"),
            ("AGENT", "Good morning to you"),
        ]

        saved = _run(program, _operation("Save"), sessionId=session_id)["saveSession"]
        assert saved["isSaved"]
        assert saved["createdCount"] == 1
        assert saved["session"]["utteranceCount"] == 3
        assert saved["conflicts"] == []

        found = _run(program, _operation("Find"))["sessionHistory"]
        (edge,) = found["edges"]
        assert edge["node"]["id"] == session_id
        assert edge["node"]["title"] == "My first conversation"
        assert edge["match"]["utterance"]["text"] == "A closing remark"
        assert edge["match"]["snippet"] == "A <mark>closing</mark> <mark>remark</mark>"
        assert not found["pageInfo"]["hasNextPage"]


async def _type_when_active(program: httpx.Client, session_id: str) -> None:
    updates = "subscription($id: ID!) { sessionUpdates(sessionId: $id) { session { status } } }"
    secret = program.headers["Authorization"].removeprefix("Bearer ")
    url = str(program.base_url).rstrip("/")
    async with subscribe(url, secret, updates, {"id": session_id}) as events:
        async for event in events:
            if event["data"]["sessionUpdates"]["session"]["status"] == "ACTIVE":
                break
    typed = (
        'mutation($id: ID!) { sendMessage(input: { sessionId: $id, key: "line-1", '
        'text: "Good morning to you" }) { utterance { id } } }'
    )
    _run(program, typed, id=session_id)
