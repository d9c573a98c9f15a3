"""A person with a browser: `httpx` and the call's clients, none of them VoxQL's own."""

import asyncio
from typing import Self
from uuid import uuid4

import httpx

from tests.e2e.client.call import Call
from tests.e2e.client.queries import HISTORY, JOIN, SAVE, SEND, START, UTTERANCES
from tests.e2e.client.seen import Json


class Refused(AssertionError):
    """The server answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['message']} {error.get('extensions')}")
        self.message = str(error["message"])
        self.code = error.get("extensions", {}).get("code")


class Person:
    """A guest with a browser, identified by a cookie."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> Self:
        await self.run("mutation { signInAsGuest { viewer { id } } }")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    @property
    def headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{k}={v}" for k, v in self._http.cookies.items())}

    async def run(self, query: str, **variables: object) -> Json:
        answer = await self._http.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}
        )
        body: Json = answer.json()
        if body.get("errors"):
            raise Refused(body["errors"][0])
        data: Json = body["data"]
        return data

    async def start(self, **given: object) -> Json:
        started: Json = (await self.run(START, input=given))["startNewChat"]
        return started

    async def join(self, session: str) -> Json:
        joined: Json = (await self.run(JOIN, input={"sessionId": session}))["joinSession"]
        return joined

    async def save(self, session: str, messages: list[Json]) -> Json:
        """Save the conversation, which ends it."""
        given = {"sessionId": session, "messages": messages}
        saved: Json = (await self.run(SAVE, input=given))["saveSession"]
        return saved

    async def types(self, session: str, line: str) -> str:
        """Type a line; return its key."""
        key = f"line-{uuid4().hex}"
        await self.run(SEND, input={"sessionId": session, "key": key, "text": line})
        return key

    async def utterances(self, session: str) -> list[Json]:
        found = (await self.run(UTTERANCES, id=session))["session"]["utterances"]["nodes"]
        return list(found)

    async def history(self) -> Json:
        found: Json = (await self.run(HISTORY))["sessionHistory"]
        return found

    async def talk(self) -> Call:
        """Start a conversation, for use with `async with`."""
        asked = asyncio.get_running_loop().time()
        return Call(self, await self.start(), asked)
