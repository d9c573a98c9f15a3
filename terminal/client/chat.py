"""Starts one conversation on the server, follows it, saves it, and reads it back."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from terminal.audio.transport import MediaAccess
from terminal.client import stream
from terminal.client.server import GraphQLClient, Json
from terminal.client.transcript import Transcript, TranscriptLine, read
from terminal.refusal import CannotTalk, RefusedByServer

START_S: Final = 30.0
"""Longest wait for an agent to join; the server itself gives up earlier."""
LOADING_S: Final = 20.0
"""Default wait for an agent that is not there."""
_PAUSE_S: Final = 1.0
_PAGE: Final = 200
_CONNECTION = "connection { url token transport }"
_SESSION = "session { id status failure { code message isRetryable } }"
_START = f"mutation {{ startNewChat {{ {_SESSION} {_CONNECTION} }} }}"
_RETRY = (
    "mutation ($id: ID!) "
    f"{{ retryAgent(input: {{sessionId: $id}}) {{ {_SESSION} {_CONNECTION} }} }}"
)
_JOIN = f"mutation ($id: ID!) {{ joinSession(input: {{sessionId: $id}}) {{ {_CONNECTION} }} }}"
_TYPE = """
mutation ($id: ID!, $key: String!, $text: String!) {
  sendMessage(input: {sessionId: $id, key: $key, text: $text}) { utterance { id } }
}"""
_SAVE = """
mutation ($id: ID!, $messages: [MessageInput!]!) {
  saveSession(input: {sessionId: $id, messages: $messages}) { isSaved }
}"""
_HISTORY = """
{ sessionHistory(first: 5) {
    totalCount
    nodes { id title createdAt status utteranceCount preview }
} }"""
_UTTERANCES = """
query ($id: ID!, $first: Int!, $after: String) {
  session(id: $id) { utterances(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { key revision role text isFinal isInterrupted sortKey startedAt source }
  } }
}"""


@dataclass(frozen=True, slots=True)
class History:
    """The newest conversations, as the server lists them."""

    sessions: list[Json]
    total: int


class Chat:
    """A requested conversation; `status`, `agent_state` and `transcript` follow it."""

    def __init__(self, server: GraphQLClient, session: Json, media: MediaAccess | None) -> None:
        self._server = server
        self._session = session
        self.media = media
        self.transcript = Transcript()
        self.changed = asyncio.Event()
        """Set whenever the transcript or the state changes."""
        self.ended = asyncio.Event()
        """Set when the server ends the conversation."""

    @classmethod
    async def start(cls, server: GraphQLClient) -> "Chat":
        """Request a conversation; its agent is then starting, or has already failed."""
        started = (await server.run(_START))["startNewChat"]
        return cls(server, started["session"], _media(started["connection"]))

    @property
    def id(self) -> str:
        """The session's id."""
        return str(self._session["id"])

    @property
    def is_guests(self) -> bool:
        """Whether the conversation belongs to a guest created for it."""
        return self._server.is_guest

    @property
    def status(self) -> str:
        """The session's last known status."""
        return str(self._session["status"])

    @property
    def agent_state(self) -> str | None:
        """The agent's state; None if the agent isn't there."""
        state: str | None = self._session.get("agentState")
        return state

    @property
    def failure(self) -> str:
        """Why there is no agent."""
        return str((self._session.get("failure") or {}).get("message", "The agent did not come."))

    @property
    def failure_code(self) -> str | None:
        """The code of `failure`."""
        code: str | None = (self._session.get("failure") or {}).get("code")
        return code

    async def retry(self) -> None:
        """Request an agent again."""
        again = (await self._server.run(_RETRY, {"id": self.id}))["retryAgent"]
        self._session |= again["session"]
        self.media = _media(again["connection"]) or self.media

    async def join(self) -> MediaAccess:
        """Request a fresh media connection."""
        joined = await self._server.run(_JOIN, {"id": self.id})
        media = _media(joined["joinSession"]["connection"])
        assert media is not None
        return media

    async def type(self, key: str, text: str) -> None:
        """Send a typed line."""
        await self._server.run(_TYPE, {"id": self.id, "key": key, "text": text})

    async def watch_state(self) -> None:
        """Follow the session's changes until it ends."""
        async with aclosing(stream.updates(self._server, self.id)) as events:
            async for event in events:
                self._session |= event["session"] or {}
                self.changed.set()
                if self.status == "ENDED" or event["deletedSessionId"]:
                    break
        self.ended.set()
        self.changed.set()

    async def watch_transcript(self) -> None:
        """Follow the transcript until it ends."""
        async with aclosing(stream.transcripts(self._server, self.id)) as events:
            async for event in events:
                for utterance in event["utterances"]:
                    self.transcript.take(utterance)
                self.changed.set()
        self.ended.set()
        self.changed.set()

    def expect_agent(self) -> None:
        """Assume that the agent is starting, until the server says more."""
        if self.status == "FAILED":
            self._session["status"] = "STARTING"

    async def until_settled(self) -> None:
        """Wait until the agent has joined or failed."""
        async with asyncio.timeout(START_S):
            while self.status == "STARTING":
                self.changed.clear()
                await self.changed.wait()

    async def save(self) -> bool:
        """Save what was seen here; return False if nothing was said."""
        given = {"id": self.id, "messages": self.transcript.messages}
        return bool((await self._server.run(_SAVE, given))["saveSession"]["isSaved"])

    async def history(self) -> History:
        """Read the list of conversations."""
        found = (await self._server.run(_HISTORY))["sessionHistory"]
        return History(found["nodes"], found["totalCount"])

    async def read_back(self) -> list[TranscriptLine]:
        """Read this conversation's utterances from the history."""
        lines: list[TranscriptLine] = []
        after: str | None = None
        while True:
            variables = {"id": self.id, "first": _PAGE, "after": after}
            session = (await self._server.run(_UTTERANCES, variables))["session"]
            if session is None:
                raise CannotTalk("The conversation is not there any more: it has been deleted.")
            page = session["utterances"]
            lines += map(read, page["nodes"])
            if not page["pageInfo"]["hasNextPage"]:
                return lines
            after = page["pageInfo"]["endCursor"]


async def with_agent(chat: Chat, note: Callable[[str], None], loading_s: float = LOADING_S) -> None:
    """Wait for the agent; request it again if it fails, and while it may still be loading.

    Args:
        chat: the requested conversation.
        note: shows the person a sentence.
        loading_s: seconds to wait for an absent agent, which may be loading its models.

    Raises:
        CannotTalk: when no agent joins; the message has the server's reason.
    """
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + loading_s
    failures, is_told = 0, False
    while True:
        try:
            await chat.until_settled()
        except TimeoutError:
            raise CannotTalk("The server did not say in time whether an agent comes.") from None
        if chat.status == "ACTIVE":
            return
        is_absent = chat.failure_code == "AGENT_UNAVAILABLE"
        failures += not is_absent
        if failures > 1 or (is_absent and loop.time() >= patient_until):
            break
        if is_absent and not is_told:
            is_told = True
            note("There is no agent yet; after a start it takes some seconds to load. Waiting …")
        await asyncio.sleep(_PAUSE_S if is_absent else 0)
        try:
            await chat.retry()
        except RefusedByServer as refused:
            if refused.code != "CONFLICT":
                raise CannotTalk(refused.message) from None
            # The agent joined just as it was given up.
            chat.expect_agent()
    raise CannotTalk(
        f"{chat.failure} The server starts the agent that comes with it unless VOXQL_AGENT says "
        "otherwise (start it with:  make serve), and its log says what keeps it from coming."
    )


def _media(connection: Json | None) -> MediaAccess | None:
    if connection is None:
        return None
    if connection["transport"] != "LOCAL":
        raise CannotTalk(
            "This server's sound goes through LiveKit, which the terminal does not speak. "
            "Talk in the web app, or start the server with VOXQL_AGENT=local."
        )
    return MediaAccess(connection["url"], connection["token"])
