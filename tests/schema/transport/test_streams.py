"""Streams over graphql-transport-ws: their events, how they end, and that they are closed."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import pytest

from hub.events import SERVER_TOPIC, ServerStopping
from hub.hub import Hub
from resolvers import nodes
from resolvers.backend import Backend
from resolvers.sessions import updates
from resolvers.transcripts.watching import Watching
from tests.schema.clients import Http, Socket
from tests.schema.fakes import Agent

TRANSCRIPTS = """
subscription Transcripts($id: ID!, $after: String) {
  transcripts(sessionId: $id, after: $after) {
    cursor
    isCaughtUp
    utterances { text isFinal }
    end { reason mayResume }
  }
}
"""
UPDATES = "subscription { sessionUpdates { session { id } deletedSessionId end { reason } } }"


async def started(client: Http) -> str:
    data = await client.data("mutation { startNewChat { session { id } } }")
    session_id: str = data["startNewChat"]["session"]["id"]
    return session_id


async def test_every_word_comes_while_it_is_spoken(
    ws: Socket, guest: Http, backend: Backend
) -> None:
    """The stream sends a marker, the interim, the final, the session's end, then `complete`."""
    session_id = await started(guest)
    agent = Agent(backend, session_id)
    await agent.come()
    await ws.subscribe(TRANSCRIPTS, {"id": session_id})
    marker = (await ws.next())["transcripts"]
    assert (marker["isCaughtUp"], marker["utterances"]) == (True, [])

    await agent.say("hel", final=False)
    assert (await ws.next())["transcripts"]["utterances"] == [{"text": "hel", "isFinal": False}]
    await agent.say("hello")
    final = (await ws.next())["transcripts"]
    assert final["utterances"] == [{"text": "hello", "isFinal": True}]
    await guest.data(
        "mutation($id: ID!) { saveSession(input: {sessionId: $id}) { isSaved } }",
        {"id": session_id},
    )
    await agent.bye()

    last = (await ws.next())["transcripts"]
    assert last["end"] == {"reason": "SESSION_ENDED", "mayResume": False}
    assert await ws.receive() == {"id": "1", "type": "complete"}
    await ws.subscribe(TRANSCRIPTS, {"id": session_id, "after": final["cursor"]})
    assert (await ws.next())["transcripts"]["utterances"] == []


async def test_a_refused_stream_is_an_error_before_the_first_event(
    ws: Socket, stranger: Http
) -> None:
    """Foreign, unknown or malformed ids never get a `next` or a bare `complete`."""
    theirs = await started(stranger)

    for session_id, code in (
        (theirs, "FORBIDDEN"),
        (theirs[:-1] + ("0" if theirs[-1] != "0" else "1"), "NOT_FOUND"),
        (theirs.replace("ses_", "utt_"), "BAD_USER_INPUT"),
    ):
        await ws.subscribe(TRANSCRIPTS, {"id": session_id})
        error = await ws.error()
        assert error["extensions"]["code"] == code
        assert error["path"] == ["transcripts"]


async def test_a_stream_for_nobody_is_refused(url: str) -> None:
    """Without a cookie or a token the code is UNAUTHENTICATED."""
    async with Socket(url) as ws:
        await ws.init()
        await ws.subscribe(UPDATES)
        assert (await ws.error())["extensions"]["code"] == "UNAUTHENTICATED"


class Watched:
    """A stream that signals when it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.fails = asyncio.Event()

    async def opened(self, hub: Hub, metrics: Any, clock: Any, viewer: Any, _: object) -> Any:
        watched = self

        class Failing(updates.SessionUpdateStream):
            async def _begin(self) -> AsyncGenerator[updates.SessionUpdate, None]:
                try:
                    yield updates.SessionUpdate()
                    await watched.fails.wait()
                    raise LookupError("what somebody said")
                finally:
                    watched.closed.set()

        return Failing(Watching(hub, metrics, clock, viewer), None)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(updates, "open_session_updates", watched.opened)
    return watched


async def test_complete_closes_the_stream(ws: Socket, watched: Watched) -> None:
    """Its generator is closed, so nothing stays registered for it."""
    await ws.subscribe(UPDATES)
    await ws.next()

    await ws.send({"id": "1", "type": "complete"})

    async with asyncio.timeout(5):
        await watched.closed.wait()


async def test_a_lost_connection_closes_its_streams(
    url: str, guest: Http, watched: Watched
) -> None:
    """This also holds for a connection that breaks without a close frame."""
    async with Socket(url, cookie=guest.cookie) as ws:
        await ws.init()
        await ws.subscribe(UPDATES)
        await ws.next()
        ws.connection.transport.abort()

    async with asyncio.timeout(5):
        await watched.closed.wait()


async def test_a_fault_in_a_stream_is_an_error_and_masked(ws: Socket, watched: Watched) -> None:
    """A `next` without data and a `complete` would look like a normal end to clients."""
    await ws.subscribe(UPDATES)
    await ws.next()

    watched.fails.set()
    error = await ws.error()

    assert error["extensions"]["code"] == "INTERNAL"
    assert "what somebody said" not in json.dumps(error)
    await ws.subscribe("{ __typename }", id="2")
    await ws.next("2")


async def test_an_event_that_can_not_be_told_ends_its_stream(
    ws: Socket, guest: Http, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client must not get its cursor, or it would never request the event again."""
    session_id = await started(guest)
    agent = Agent(backend, session_id)
    await agent.come()
    await ws.subscribe(
        "subscription($id: ID!) { transcripts(sessionId: $id) { cursor utterances "
        "{ session { id } } } }",
        {"id": session_id},
    )
    await ws.next()

    async def broken(*_: object) -> Any:
        raise OSError("disk")

    monkeypatch.setattr(nodes, "nodes", broken)
    await agent.say("hello")

    assert (await ws.error())["extensions"]["code"] == "INTERNAL"


@dataclass
class Held:
    """A lookup of the sessions that an event names, which waits until the test goes on."""

    began: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None
    is_held: bool = False

    async def until_begun(self) -> None:
        async with asyncio.timeout(5):
            await self.began.wait()


@pytest.fixture
async def held(ws: Socket, guest: Http, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Held:
    """The lookup for an event that is being sent on the stream "1"."""
    session_id = await started(guest)
    agent = Agent(backend, session_id)
    await agent.come()
    held = Held()
    found = nodes.nodes

    async def nodes_later(viewer: Any, ids: list[str]) -> Any:
        held.began.set()
        await held.goes_on.wait()
        if held.fault is not None:
            raise held.fault
        return await found(viewer, ids)

    monkeypatch.setattr(nodes, "nodes", nodes_later)
    await ws.subscribe(
        "subscription($id: ID!) { transcripts(sessionId: $id) { utterances "
        "{ text session { title } } end { reason } } }",
        {"id": session_id},
    )
    await ws.next()
    await agent.say("secret")
    await held.until_begun()
    return held


async def test_an_event_under_way_comes_before_the_end(
    ws: Socket, backend: Backend, held: Held
) -> None:
    """A server that stops sends what it has begun, so that the last cursor is right."""
    backend.hub.publish(SERVER_TOPIC, ServerStopping())
    held.goes_on.set()

    event, end = [(await ws.next())["transcripts"] for _ in range(2)]

    assert [heard["text"] for heard in event["utterances"]] == ["secret"]
    assert end["end"] == {"reason": "SERVER_SHUTDOWN"}
    assert await ws.receive() == {"id": "1", "type": "complete"}


async def test_no_last_event_comes_after_one_that_failed(
    ws: Socket, backend: Backend, held: Held
) -> None:
    """Its cursor would come after the lost event."""
    held.fault = OSError("disk")
    backend.hub.publish(SERVER_TOPIC, ServerStopping())
    held.goes_on.set()

    assert (await ws.error())["extensions"]["code"] == "INTERNAL"
    await ws.subscribe("{ __typename }", id="2")
    await ws.next("2")


async def test_an_event_under_way_is_kept_from_a_viewer_who_lost_access(
    ws: Socket, guest: Http, held: Held
) -> None:
    """The end comes at once, and nothing after it."""
    await guest.data("mutation { signOut { isSignedOut } }")

    last = (await ws.next())["transcripts"]

    assert (last["utterances"], last["end"]) == ([], {"reason": "ACCESS_REVOKED"})
    assert await ws.receive() == {"id": "1", "type": "complete"}
    held.goes_on.set()
    await ws.send({"type": "ping"})
    assert (await ws.receive())["type"] == "pong"


async def test_streams_of_one_event_ask_the_database_once(
    ws: Socket, guest: Http, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten utterances in a batch need one query for their session; the next event queries again."""
    session_id = await started(guest)
    agent = Agent(backend, session_id)
    await agent.come()
    for index in range(10):
        await agent.say(f"line {index}", segment=f"SG_{index}")
    asked: list[list[str]] = []
    ask = nodes.nodes

    async def counted(viewer: Any, ids: list[str]) -> Any:
        asked.append(ids)
        return await ask(viewer, ids)

    monkeypatch.setattr(nodes, "nodes", counted)
    await ws.subscribe(
        "subscription($id: ID!) { transcripts(sessionId: $id) { utterances "
        "{ session { title } } } }",
        {"id": session_id},
    )

    replay = (await ws.next())["transcripts"]["utterances"]
    assert replay == [{"session": {"title": "Line 0"}}] * 10
    assert asked == [[session_id]]
    await ws.next()
    await guest.data(
        'mutation($id: ID!) { renameSession(input: {sessionId: $id, title: "New"}) '
        "{ session { id } } }",
        {"id": session_id},
    )
    await agent.say("and on", segment="SG_on")
    assert (await ws.next())["transcripts"]["utterances"] == [{"session": {"title": "New"}}]
