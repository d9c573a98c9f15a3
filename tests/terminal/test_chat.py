"""How the command waits for its agent, with a fake server."""

from typing import Any, cast

import pytest

from terminal.client.chat import Chat, with_agent
from terminal.client.server import GraphQLClient
from terminal.refusal import CannotTalk, RefusedByServer

FAILED = {
    "id": "ses_1",
    "status": "FAILED",
    "failure": {"code": "AGENT_TIMEOUT", "message": "The agent was not ready. Please try again."},
}


class Answers:
    """A server that refuses to start an agent and then changes the session's status."""

    def __init__(self, code: str, status: str) -> None:
        self._code = code
        self._status = status
        self.asked = 0
        self.chat = Chat(cast(GraphQLClient, self), dict(FAILED), None)

    async def run(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        assert "retryAgent" in operation
        self.asked += 1
        self.chat._session["status"] = self._status
        raise RefusedByServer("The agent is already here, or about to join.", self._code)


async def test_an_agent_that_comes_when_it_was_given_up_is_talked_to() -> None:
    """The server refuses to start another because the agent is there."""
    server = Answers("CONFLICT", "ACTIVE")

    await with_agent(server.chat, pytest.fail)

    assert server.chat.status == "ACTIVE"
    assert server.asked == 1


async def test_a_conversation_that_has_ended_meanwhile_is_given_up() -> None:
    """The command asks for no further agent."""
    server = Answers("CONFLICT", "ENDED")

    with pytest.raises(CannotTalk, match="was not ready"):
        await with_agent(server.chat, pytest.fail)

    assert server.asked == 1


async def test_another_refusal_is_told() -> None:
    """The command shows the server's message."""
    server = Answers("NOT_FOUND", "FAILED")

    with pytest.raises(CannotTalk, match="already here"):
        await with_agent(server.chat, pytest.fail)
