"""A conversation from the person's side, over the transport that the server names."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport

from tests.e2e.client.local_line import LocalLine
from tests.e2e.client.microphone import Microphone, Said
from tests.e2e.client.player import Player, Reply, RoomPlayer
from tests.e2e.client.queries import TRANSCRIPTS, UPDATES
from tests.e2e.client.room_line import AHEAD_S, RoomLine
from tests.e2e.client.seen import Json, Seen
from tests.speech.sound import Clip, Pcm
from tests.speech.words import is_beginning


class Caller(Protocol):
    """The person in the conversation."""

    url: str

    @property
    def headers(self) -> dict[str, str]: ...

    async def join(self, session: str) -> Json: ...

    async def save(self, session: str, messages: list[Json]) -> Json: ...


class Call:
    """An open conversation; its microphone stays open until the context ends.

    Args:
        person: who talks.
        started: the result of `startNewChat`.
        asked: when it was requested.
    """

    def __init__(self, person: Caller, started: Json, asked: float = 0.0) -> None:
        self.person = person
        self.started = started
        self.asked = asked
        self.active: float | None = None
        """When the client first saw the status ACTIVE."""
        self.id = str(started["session"]["id"])
        self.statuses = [str(started["session"]["status"])]
        """Each status seen, in order."""
        self.agent_state: str | None = None
        self.seen: list[Seen] = []
        self.held: dict[str, Json] = {}
        """The newest state of each utterance, by key."""
        self.cursor: str | None = None
        self.end: Json | None = None
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.microphone = Microphone(AHEAD_S if self.is_in_room else 0.0)
        self.player: Player | RoomPlayer
        self.line: LocalLine | RoomLine | None = None
        if self.is_in_room:
            self.player = RoomPlayer(self._loop.time, lambda: self.agent_state == "SPEAKING")
        else:
            self.player = Player(self._loop.time)

    async def __aenter__(self) -> Self:
        assert self.started["connection"], self.started["session"]
        self._watch()
        try:
            await self.until(lambda: self.status == "ACTIVE")
            await self._open(self.started["connection"])
        except BaseException:
            await self.hang_up()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An open conversation would keep its agent place for a minute.
        with suppress(httpx.HTTPError, AssertionError):
            await self.save([])
            if kind is None:
                await self.until(lambda: self.end)
        await self.hang_up()

    async def save(self, messages: list[Json] | None = None) -> Json:
        """Save the conversation, which ends it."""
        return await self.person.save(self.id, self.messages if messages is None else messages)

    async def hang_up(self) -> None:
        """Close all connections; the session stays active."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.drop()

    async def drop(self) -> None:
        """Drop the audio connection: nothing more is sent or heard."""
        if self.line is not None:
            line, self.line = self.line, None
            await line.close()

    async def watch_again(self) -> None:
        """Resubscribe from the last cursor, like a client that lost its connection."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watch()

    async def rejoin(self) -> None:
        """Reconnect the audio after `drop`."""
        await self._open((await self.person.join(self.id))["connection"])

    async def _open(self, connection: Json) -> None:
        if isinstance(self.player, RoomPlayer):
            self.line = RoomLine(self.microphone, self.player, self._changed.set)
        else:
            self.line = LocalLine(self.microphone, self.player, self._changed.set)
        await self.line.open(connection)

    def say(self, clip: Clip) -> Said:
        """Queue a clip behind the current one; `done` is set once its last sample is sent."""
        return self.microphone.say(clip)

    def hear(self, pcm: Pcm, name: str = "noise") -> Said:
        """Let the microphone pick up sound that is not speech."""
        return self.say(Clip(name, "", pcm))

    async def until(self, condition: Callable[[], object], within: float = 60.0) -> None:
        """Wait until a change makes this condition true."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    for task in self._tasks:
                        if task.done():
                            task.result()
                    if self.line is not None:
                        self.line.check()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within} s; {self._state()}") from None

    async def answered(self, said: Said, within: float = 60.0) -> None:
        """Wait until the clip was transcribed and answered, and the answer was heard."""
        await said.done

        def is_answered() -> bool:
            finals = self.finals(since=said.began)
            roles = [seen.role for seen in finals]
            return "USER" in roles and roles[-1] == "AGENT" and self.is_quiet(said.began)

        await self.until(is_answered, within)

    def is_quiet(self, since: float = 0.0) -> bool:
        """Return whether nobody speaks or thinks and every recent utterance is final."""
        recent = {seen.key for seen in self.seen if seen.at >= since}
        is_settled = all(self.held[key]["isFinal"] for key in recent)
        return is_settled and self.player.is_silent and self.agent_state == "LISTENING"

    def finals(self, role: str | None = None, since: float = 0.0) -> list[Seen]:
        """Return the first sight of each final."""
        found: dict[str, Seen] = {}
        for seen in self.seen:
            if seen.is_final and seen.at >= since and role in (None, seen.role):
                found.setdefault(seen.key, seen)
        return list(found.values())

    def interims(self, since: float = 0.0) -> list[Seen]:
        """Return every interim of the person."""
        return [
            seen
            for seen in self.seen
            if not seen.is_final and seen.role == "USER" and seen.at >= since
        ]

    def is_heard_to_begin(self, said: str, since: float = 0.0) -> bool:
        """Return whether an interim has shown the beginning of this."""
        return any(is_beginning(said, seen.text) for seen in self.interims(since))

    @property
    def is_in_room(self) -> bool:
        """Whether the conversation uses a LiveKit room."""
        return bool((self.started["connection"] or {}).get("transport") == "LIVEKIT")

    @property
    def status(self) -> str:
        return self.statuses[-1]

    @property
    def utterances(self) -> list[Json]:
        """The newest state of every utterance, in the server's order."""
        return sorted(self.held.values(), key=lambda utterance: utterance["sortKey"])

    @property
    def messages(self) -> list[Json]:
        """The messages that a client would save."""
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

    def _watch(self) -> None:
        self._spawn(self._watch_transcripts())
        self._spawn(self._watch_state())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        self._tasks.append(task)

    async def _watch_transcripts(self) -> None:
        after = self.cursor
        async for event in self._subscription(TRANSCRIPTS, "transcripts", after=after):
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
                self._note(session["status"])
                self.agent_state = session["agentState"]
                assert self.status != "FAILED", session["failure"]
            self._changed.set()

    def _note(self, status: str) -> None:
        if status != self.status:
            self.statuses.append(status)
        if status == "ACTIVE" and self.active is None:
            self.active = self._loop.time()

    async def _subscription(
        self, query: str, field: str, **variables: object
    ) -> AsyncIterator[Json]:
        url = self.person.url.replace("http", "ws", 1) + "/graphql"
        transport = WebsocketsTransport(
            url,
            headers=self.person.headers,
            subprotocols=["graphql-transport-ws"],
            connect_args={"proxy": None, "compression": None},
        )
        request = gql(query)
        request.variable_values = {"id": self.id, **variables}
        async with Client(transport=transport) as session:
            async for result in session.subscribe(request):
                yield result[field]

    def _state(self) -> str:
        return (
            f"statuses {self.statuses}, agent {self.agent_state}, replies "
            f"{[(len(one.sound) // 2, one.samples, one.is_over) for one in self.replies]}, "
            f"transcript {[(one['role'], one['text'], one['isFinal']) for one in self.utterances]}"
        )
