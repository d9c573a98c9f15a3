"""A person who talks with the agent: `httpx`, `gql` and bare WebSockets, none of it VoxQL's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpx
import numpy as np
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.player import Player, Reply
from tests.e2e.sound import RATE, Clip, Pcm, silence

Json = dict[str, Any]
PIECE_S: Final = 0.02
PIECE: Final = int(RATE * PIECE_S)
START: Final = """
mutation ($input: StartNewChatInput!) { startNewChat(input: $input) {
  saved { isSaved createdCount session { id utteranceCount status } conflicts { index } }
  session { id status failure { code message isRetryable } }
  connection { url token transport sampleRate }
} }"""
SAVE: Final = """
mutation ($input: SaveSessionInput!) { saveSession(input: $input) {
  isSaved createdCount session { id status utteranceCount }
} }"""
UTTERANCES: Final = """
query ($id: ID!) { session(id: $id) { status utterances(first: 500) { nodes {
  key revision role source text isFinal isInterrupted position startedAt endedAt
} } } }"""
HISTORY: Final = """
{ sessionHistory(first: 10) { totalCount nodes { id status utteranceCount preview } } }"""
TRANSCRIPTS: Final = """
subscription ($id: ID!, $after: String) { transcripts(sessionId: $id, after: $after) {
  cursor isCaughtUp end { reason mayResume }
  utterances { key revision role source text isFinal isInterrupted position startedAt }
} }"""
UPDATES: Final = """
subscription ($id: ID!) { sessionUpdates(sessionId: $id) {
  session { id status agentState failure { code message } } end { reason }
} }"""


class Refused(AssertionError):
    """The server answered with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['message']} {error.get('extensions')}")
        self.message = str(error["message"])
        self.code = error.get("extensions", {}).get("code")


class Person:
    """Somebody with a browser: a guest, known by a cookie."""

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

    async def utterances(self, session: str) -> list[Json]:
        found = (await self.run(UTTERANCES, id=session))["session"]["utterances"]["nodes"]
        return list(found)

    async def history(self) -> Json:
        found: Json = (await self.run(HISTORY))["sessionHistory"]
        return found

    async def talk(self) -> "Call":
        """Begin a conversation (to be entered with `async with`)."""
        return Call(self, await self.start())


@dataclass(frozen=True)
class Seen:
    """One state of an utterance, and when it was in the browser."""

    at: float
    utterance: Json

    @property
    def is_final(self) -> bool:
        return bool(self.utterance["isFinal"])

    @property
    def role(self) -> str:
        return str(self.utterance["role"])

    @property
    def text(self) -> str:
        return str(self.utterance["text"])

    @property
    def key(self) -> str:
        return str(self.utterance["key"])


@dataclass(eq=False)
class Said:
    """A clip on its way to the agent: when its first sample was spoken, and its voice ended."""

    clip: Clip
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    began: float = 0.0

    @property
    def voice_began(self) -> float:
        return self.began + self.clip.voice[0] / RATE

    @property
    def voice_ended(self) -> float:
        return self.began + self.clip.voice[1] / RATE


class Call:
    """A conversation that runs: its microphone is open until it is left."""

    def __init__(self, person: Person, started: Json) -> None:
        self.person = person
        self.started = started
        self.id = str(started["session"]["id"])
        self.status = str(started["session"]["status"])
        self.agent_state: str | None = None
        self.seen: list[Seen] = []
        self.held: dict[str, Json] = {}
        """The newest state of each utterance, by key."""
        self.cursor: str | None = None
        self.end: Json | None = None
        self.sent = 0
        """Samples that the microphone has picked up."""
        self._loop = asyncio.get_running_loop()
        self.player = Player(self._loop.time)
        self._queue: list[tuple[Said, int]] = []
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        assert self.started["connection"], self.started["session"]
        await self._stack.__aenter__()
        self._spawn(self._watch_transcripts())
        self._spawn(self._watch_state())
        await self.until(lambda: self.status == "ACTIVE", 15)
        socket = await self._stack.enter_async_context(
            connect(
                self.started["connection"]["url"],
                subprotocols=[Subprotocol("voxql.audio.v1")],
                compression=None,
                proxy=None,
            )
        )
        hello = {"type": "hello", "token": self.started["connection"]["token"]}
        await socket.send(json.dumps({**hello, "reportsPlayed": True}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        for work in (self._speak, self._listen, self._report):
            self._spawn(work(socket))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A conversation that is left open keeps its place with the agent for a minute.
        with suppress(httpx.HTTPError, Refused):
            await self.save([])
            if kind is None:
                await self.until(lambda: self.end, 15)
        await self.hang_up()

    async def save(self, messages: list[Json] | None = None) -> Json:
        """Save the conversation, which ends it."""
        given = {"sessionId": self.id, "messages": self.messages if messages is None else messages}
        saved: Json = (await self.person.run(SAVE, input=given))["saveSession"]
        return saved

    async def hang_up(self) -> None:
        """Close everything; the session goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._stack.aclose()

    def say(self, clip: Clip) -> Said:
        """Say something, after what is being said; `done` when its last sample has been sent."""
        said = Said(clip)
        self._queue.append((said, 0))
        return said

    def hear(self, pcm: Pcm, name: str = "noise") -> Said:
        """Let the microphone pick up what nobody said."""
        return self.say(Clip(name, "", pcm))

    async def until(self, condition: Callable[[], object], within: float = 30.0) -> None:
        """Wait until something has changed that makes this true."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    for task in self._tasks:
                        if task.done():
                            task.result()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within} s; {self._state()}") from None

    async def answered(self, said: Said, within: float = 30.0) -> None:
        """Wait until what was said has been understood, answered, and the answer heard."""
        await said.done

        def is_answered() -> bool:
            finals = self.finals(since=said.began)
            roles = [seen.role for seen in finals]
            return "USER" in roles and roles[-1] == "AGENT" and self.is_quiet

        await self.until(is_answered, within)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody speaks, thinks, or is still being understood."""
        is_settled = all(utterance["isFinal"] for utterance in self.held.values())
        return is_settled and self.player.is_silent and self.agent_state == "LISTENING"

    def finals(self, role: str | None = None, since: float = 0.0) -> list[Seen]:
        """Return the first sight of each final."""
        found: dict[str, Seen] = {}
        for seen in self.seen:
            if seen.is_final and seen.at >= since and role in (None, seen.role):
                found.setdefault(seen.key, seen)
        return list(found.values())

    def interims(self, since: float = 0.0) -> list[Seen]:
        """Return every interim of the person's."""
        return [
            seen
            for seen in self.seen
            if not seen.is_final and seen.role == "USER" and seen.at >= since
        ]

    @property
    def utterances(self) -> list[Json]:
        """The newest state of everything, in the server's order."""
        return sorted(self.held.values(), key=lambda utterance: utterance["position"])

    @property
    def messages(self) -> list[Json]:
        """What a client would save."""
        return [
            {
                "key": utterance["key"],
                "role": utterance["role"],
                "text": utterance["text"],
                "timestamp": utterance["startedAt"],
                "isFinal": utterance["isFinal"],
            }
            for utterance in self.utterances
        ]

    @property
    def replies(self) -> list[Reply]:
        return self.player.replies

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self._changed.set())
        self._tasks.append(task)

    async def _watch_transcripts(self) -> None:
        async for event in self._subscription(TRANSCRIPTS, "transcripts"):
            now = self._loop.time()
            self.cursor = event["cursor"]
            self.end = event["end"] or self.end
            for utterance in event["utterances"]:
                self._take(Seen(now, utterance))
            self._changed.set()

    def _take(self, seen: Seen) -> None:
        held = self.held.get(seen.key)
        if held is not None and held["revision"] >= seen.utterance["revision"]:
            return
        assert held is None or seen.is_final or not held["isFinal"], "an interim followed a final"
        self.held[seen.key] = seen.utterance
        self.seen.append(seen)

    async def _watch_state(self) -> None:
        async for event in self._subscription(UPDATES, "sessionUpdates"):
            session = event["session"]
            if session:
                self.status, self.agent_state = session["status"], session["agentState"]
                assert self.status != "FAILED", session["failure"]
            self._changed.set()

    async def _subscription(self, query: str, field: str) -> AsyncIterator[Json]:
        url = self.person.url.replace("http", "ws", 1) + "/graphql"
        transport = WebsocketsTransport(
            url,
            headers=self.person.headers,
            subprotocols=["graphql-transport-ws"],
            connect_args={"proxy": None, "compression": None},
        )
        request = gql(query)
        request.variable_values = {"id": self.id}
        async with Client(transport=transport) as session:
            async for result in session.subscribe(request):
                yield result[field]

    async def _speak(self, socket: ClientConnection) -> None:
        """Send what the microphone picks up, each piece when its last sample has been spoken."""
        began = self._loop.time()
        while True:
            piece = silence(PIECE_S)
            filled = 0
            while filled < PIECE and self._queue:
                filled += self._pour(piece, filled, began)
            self.sent += PIECE
            due = began + self.sent / RATE
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await socket.send(piece.astype("<i2").tobytes())

    def _pour(self, piece: Pcm, filled: int, began: float) -> int:
        said, place = self._queue[0]
        if place == 0:
            said.began = began + (self.sent + filled) / RATE
        part = said.clip.pcm[place : place + PIECE - filled]
        piece[filled : filled + len(part)] = part
        if place + len(part) >= len(said.clip.pcm):
            self._queue.pop(0)
            said.done.set_result(None)
        else:
            self._queue[0] = (said, place + len(part))
        return len(part)

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                self.player.add(message)
            else:
                await self._obey(socket, json.loads(message))
            self._changed.set()

    async def _obey(self, socket: ClientConnection, frame: Json) -> None:
        match frame["type"]:
            case "begin":
                self.player.begin(frame["playout"])
            case "end":
                self.player.end(frame["playout"], frame["samples"])
            case "clear":
                await _played(socket, self.player.clear(frame["playout"]))

    async def _report(self, socket: ClientConnection) -> None:
        told: dict[str, int] = {}
        while True:
            self.player.advance()
            for reply in self.player.replies:
                if reply.samples > told.get(reply.playout, 0):
                    told[reply.playout] = reply.samples
                    if reply.cleared is None:
                        await _played(socket, reply)
                    self._changed.set()
            await asyncio.sleep(0.05)

    def _state(self) -> str:
        return (
            f"status {self.status}, agent {self.agent_state}, replies "
            f"{[(len(one.sound) // 2, one.samples, one.length) for one in self.replies]}, "
            f"transcript {[(one['role'], one['text'], one['isFinal']) for one in self.utterances]}"
        )


async def _played(socket: ClientConnection, reply: Reply) -> None:
    frame = {"type": "played", "playout": reply.playout, "samples": reply.samples}
    await socket.send(json.dumps(frame))


def joined(finals: list[Seen]) -> str:
    """Return several finals as one text."""
    return " ".join(seen.text for seen in finals)


def quantile(values: list[float], part: float) -> float:
    """Return the value below which this part of all values lies."""
    return float(np.quantile(values, part)) if values else float("nan")
