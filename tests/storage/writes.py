"""Every kind of write that a person can cause, and how to wait for what comes by itself."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.faults.stage import Stage

SECONDS = 15.0
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
HISTORY = "{ sessionHistory(first: 5) { edges { node { id preview } } } }"


class Browser:
    """Somebody signed in by cookie, as only they may make tokens; on the same server as a stage."""

    def __init__(self, on: Stage) -> None:
        headers = {"Origin": on.server.url}
        self.client = httpx.AsyncClient(base_url=on.server.url, headers=headers, timeout=SECONDS)
        on.exits.push_async_callback(self.client.aclose)
        self._token = on.account.token

    async def ask(self, query: str, given: Any = None, *, as_owner: bool = True) -> dict[str, Any]:
        """Return the answer; as the owner of the stage's sessions, or by this browser's cookie."""
        headers = {"Authorization": f"Bearer {self._token}"} if as_owner else {}
        variables = {} if given is None else {"input": given}
        body = {"query": query, "variables": variables}
        answer: dict[str, Any] = (
            await self.client.post("/graphql", json=body, headers=headers)
        ).json()
        return answer

    async def is_ready(self) -> tuple[int, str]:
        """Return status and what is said of the database."""
        response = await self.client.get("/readyz")
        return response.status_code, str(response.json()["database"])


def kinds_of_writes(
    session: str, running: str
) -> list[tuple[str, str, dict[str, Any] | None, bool]]:
    """Return name, query, input, and whether the owner of the session does it.

    The one that deletes comes last, for when they are let through.
    """
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
        ("createApiToken", TOKEN, {"name": "robot", "scopes": ["SESSIONS_READ"]}, False),
        ("signUp", SIGN_UP, {"email": "ada@example.org", "password": "correct horse"}, False),
        ("signInAsGuest", GUEST, None, False),
        ("deleteSession", DELETE, {"sessionId": session}, True),
    ]


async def until(condition: Callable[[], Any], within: float = SECONDS) -> Any:
    """Return what a question about the database gives, as soon as that is true."""
    async with asyncio.timeout(within):
        # What another process does can only be looked at.
        while not (found := await asyncio.to_thread(condition)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found
