"""A signed-in user who repeats each request until it is answered."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from tests.faults.clients.journal import Journal

BEGIN: Final = """
mutation Begin($input: StartNewChatInput!) {
  startNewChat(input: $input) { session { id } saved { isSaved createdCount } }
}"""
SAVE: Final = """
mutation Save($input: SaveSessionInput!) { saveSession(input: $input) { createdCount } }"""
RENAME: Final = """
mutation Rename($input: RenameSessionInput!) { renameSession(input: $input) { session { id } } }"""
DELETE: Final = """
mutation Delete($input: DeleteSessionInput!) { deleteSession(input: $input) { deletedSessionId } }
"""
TYPE: Final = """
mutation Type($input: SendMessageInput!) { sendMessage(input: $input) { utterance { id } } }"""
RETRY: Final = """
mutation Retry($input: RetryAgentInput!) { retryAgent(input: $input) { session { id } } }"""


class Refused(Exception):
    """The server refused the request, with this error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = str(error.get("extensions", {}).get("code"))


@dataclass
class Account:
    """A signed-in user; call `open` first and `close` at the end."""

    url: str
    journal: Journal
    token: str = ""
    http: aiohttp.ClientSession | None = None
    cookie: str = ""
    token_id: str = ""

    async def open(self) -> None:
        """Sign in as a guest and create a token."""
        self.http = aiohttp.ClientSession(
            # The server closes connections idle for 5 s; never reuse one as it does so.
            connector=aiohttp.TCPConnector(keepalive_timeout=2),
            timeout=aiohttp.ClientTimeout(total=15),
        )
        guest = "mutation { signInAsGuest { viewer { id } } }"
        async with self.http.post(f"{self.url}/graphql", json={"query": guest}) as response:
            self.cookie = response.headers["Set-Cookie"].partition(";")[0]
        make = """mutation { createApiToken(input: {
            name: "faults", scopes: [SESSIONS_READ, SESSIONS_WRITE, SESSIONS_DELETE]
        }) { secret apiToken { id } } }"""
        made = await self.in_browser(make)
        self.token = made["secret"]
        self.token_id = made["apiToken"]["id"]

    async def in_browser(self, query: str) -> dict[str, Any]:
        """Send a query with the browser's cookie; return the data of its one root field."""
        assert self.http is not None
        headers = {"Cookie": self.cookie, "Origin": self.url}
        async with self.http.post(
            f"{self.url}/graphql", json={"query": query}, headers=headers
        ) as response:
            answer = await response.json()
        if answer.get("errors"):
            raise Refused(answer["errors"][0])
        [data] = answer["data"].values()
        return dict(data)

    async def close(self) -> None:
        if self.http is not None:
            await self.http.close()

    async def ask(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the data of the one root field; asks again while the server is away.

        Raises:
            Refused: when the server refuses the request.
        """
        assert self.http is not None
        while True:
            try:
                async with self.http.post(
                    f"{self.url}/graphql",
                    json={"query": query, "variables": {"input": given}},
                    headers={"Authorization": f"Bearer {self.token}"},
                ) as response:
                    answer = await response.json()
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.journal.counts["requests without an answer"] += 1
                await asyncio.sleep(0.05)
                continue
            if answer.get("errors") and self.journal.is_passing(answer["errors"][0]):
                await asyncio.sleep(0.05)
                continue
            self.journal.counts["requests answered"] += 1
            if answer.get("errors"):
                raise Refused(answer["errors"][0])
            [data] = answer["data"].values()
            return dict(data)
