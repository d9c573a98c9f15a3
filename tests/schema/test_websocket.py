"""graphql-transport-ws, message by message, on a real server."""

import asyncio
import json
from typing import Any

import pytest

from resolvers import nodes, streams
from resolvers.backend import Backend
from schema import limits
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


# ---------------------------------------------------------------- the connection


async def test_a_connection_is_acknowledged(url: str) -> None:
    """Also with `payload: null`, which the protocol allows."""
    for payload in ("", ', "payload": null', ', "payload": {}'):
        async with Socket(url) as ws:
            await ws.send(f'{{"type": "connection_init"{payload}}}')
            assert await ws.receive() == {"type": "connection_ack"}


async def test_only_graphql_transport_ws_is_spoken(url: str) -> None:
    """The legacy protocol is not: it skipped authentication."""
    async with Socket(url, protocol="graphql-ws") as ws:
        assert (await ws.closed())[0] == 4406


async def test_nothing_is_done_before_the_connection_is_acknowledged(url: str) -> None:
    """Close code 4401."""
    async with Socket(url) as ws:
        await ws.subscribe("{ __typename }")
        assert await ws.closed() == (4401, "Unauthorized")


async def test_a_second_connection_init_closes_the_connection(ws: Socket) -> None:
    """Close code 4429."""
    await ws.send({"type": "connection_init"})

    assert (await ws.closed())[0] == 4429


async def test_a_ping_is_answered(ws: Socket) -> None:
    """With a pong; a pong with nothing."""
    await ws.send({"type": "pong"})
    await ws.send({"type": "ping", "payload": None})

    assert await ws.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "null",
        "[]",
        '"x"',
        "1",
        "{",
        "{}",
        "[" * 10_000,
        b"{}",
        {"type": 1},
        {"type": "x" * 1_000},
        {"type": "connection_ack"},
        {"type": "ping", "payload": "x"},
        {"type": "connection_init", "payload": []},
        {"type": "complete"},
        {"type": "subscribe", "id": "1"},
        {"type": "subscribe", "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": {}, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "x" * 1_000, "payload": {"query": "{ __typename }"}},
        {"type": "subscribe", "id": "1", "payload": "x"},
        {"type": "subscribe", "id": "1", "payload": {}},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": "x"}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{a}", "operationName": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{a}", "extensions": []}},
    ],
    ids=lambda message: str(message)[:60],
)
async def test_a_malformed_message_closes_the_connection(ws: Socket, message: Any) -> None:
    """Close code 4400, with a reason in words, and never 1006."""
    await ws.send(message)

    code, reason = await ws.closed()
    assert code == 4400
    assert reason


async def test_a_message_over_1_mib_closes_the_connection(ws: Socket) -> None:
    """Counted in bytes, not in characters."""
    query = "é" * (limits.MAX_FRAME // 2)

    await ws.send('{"id": "1", "type": "subscribe", "payload": {"query": "' + query + '"}}')

    assert await ws.closed() == (1009, "A message may have 1 MiB at most")


async def test_an_id_can_not_be_used_twice_at_once(ws: Socket) -> None:
    """Close code 4409."""
    await ws.subscribe(UPDATES)
    await ws.next()
    await ws.subscribe(UPDATES)

    assert (await ws.closed())[0] == 4409


async def test_an_id_can_be_used_again_after_complete(ws: Socket) -> None:
    """The operation before is gone at once."""
    await ws.subscribe(UPDATES)
    await ws.next()
    await ws.send({"id": "1", "type": "complete"})
    await ws.subscribe(UPDATES)

    assert await ws.next() == {
        "sessionUpdates": {"session": None, "deletedSessionId": None, "end": None}
    }


async def test_a_connection_carries_a_bounded_number_of_operations(
    ws: Socket,
) -> None:
    """One more is refused by an `error`; the others go on."""
    for index in range(limits.MAX_OPERATIONS):
        await ws.subscribe(UPDATES, id=str(index))
        await ws.next(str(index))

    await ws.subscribe(UPDATES, id="more")
    error = await ws.error("more")

    assert error["extensions"] == {"code": "QUOTA_EXCEEDED"}
    await ws.send({"id": "0", "type": "complete"})
    await ws.subscribe(UPDATES, id="again")
    await ws.next("again")


# ---------------------------------------------------------------- operations


async def test_queries_and_mutations_give_one_result(ws: Socket) -> None:
    """A `next`, then `complete`."""
    await ws.subscribe("{ viewer { isGuest } }", id="q")
    assert await ws.next("q") == {"viewer": {"isGuest": True}}
    assert await ws.receive() == {"id": "q", "type": "complete"}

    await ws.subscribe("mutation { startNewChat { session { status } } }", id="m")
    assert await ws.next("m") == {"startNewChat": {"session": {"status": "STARTING"}}}
    assert await ws.receive() == {"id": "m", "type": "complete"}


async def test_an_error_in_a_query_comes_beside_its_data(ws: Socket) -> None:
    """As over HTTP: it is a result, not the end of the operation."""
    await ws.subscribe('{ viewer { isGuest } session(id: "x") { id } }')

    message = await ws.receive()

    assert message["type"] == "next"
    assert message["payload"]["data"] == {"viewer": {"isGuest": True}, "session": None}
    [error] = message["payload"]["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["session"], "BAD_USER_INPUT")
    assert await ws.receive() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    "payload",
    [
        {"query": "{"},
        {"query": "{ unknown }"},
        {"query": ""},
        {"query": "query A { __typename }", "operationName": "B"},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "query($id: ID!) { node(id: $id) { id } }", "variables": {}},
        {"query": TRANSCRIPTS, "variables": {"id": None}},
        {"query": TRANSCRIPTS, "variables": {"id": "ses_x"}},
        {"query": "{" + " __typename" * 1_001 + "}"},
    ],
    ids=lambda payload: str(payload)[:60],
)
async def test_what_can_not_be_executed_is_an_error_of_its_operation(
    ws: Socket, payload: dict[str, Any]
) -> None:
    """An `error` message; the connection and its other operations stay, also the second time."""
    for attempt in ("1", "2"):
        await ws.send({"id": attempt, "type": "subscribe", "payload": payload})
        assert (await ws.error(attempt))["extensions"]["code"] == "BAD_USER_INPUT"
    await ws.subscribe("{ __typename }", id="3")
    assert await ws.next("3") == {"__typename": "Query"}


@pytest.mark.parametrize(
    "query",
    [
        "mutation { signInAsGuest { viewer { id } } }",
        'mutation { signIn(input: {email: "a@b.c", password: "12345678"}) { viewer { id } } }',
        'mutation { signUp(input: {email: "a@b.c", password: "12345678"}) { viewer { id } } }',
    ],
)
async def test_signing_in_needs_http(ws: Socket, query: str) -> None:
    """A WebSocket can't set a cookie, and says so."""
    await ws.subscribe(query)

    [error] = (await ws.receive())["payload"]["errors"]

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "HTTP POST" in error["message"]


# ---------------------------------------------------------------- streams


async def test_every_word_comes_while_it_is_spoken(
    ws: Socket, guest: Http, backend: Backend
) -> None:
    """A marker, the interim, the final, the end of the session, then `complete`."""
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
    """Somebody else's, unknown, malformed: never a `next`, never a bare `complete`."""
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
    """Without a cookie or a token: UNAUTHENTICATED."""
    async with Socket(url) as ws:
        await ws.init()
        await ws.subscribe(UPDATES)
        assert (await ws.error())["extensions"]["code"] == "UNAUTHENTICATED"


class Watched:
    """A stream that says when it is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.fails = asyncio.Event()

    async def events(self, *_: object) -> Any:
        try:
            yield streams.SessionUpdate()
            await self.fails.wait()
            raise LookupError("what somebody said")
        finally:
            self.closed.set()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()

    async def opened(*_: object) -> Any:
        return watched.events()

    monkeypatch.setattr(streams, "open_session_updates", opened)
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
    """Also when it breaks without a word."""
    async with Socket(url, cookie=guest.cookie) as ws:
        await ws.init()
        await ws.subscribe(UPDATES)
        await ws.next()
        ws.connection.transport.abort()

    async with asyncio.timeout(5):
        await watched.closed.wait()


async def test_a_fault_in_a_stream_is_an_error_and_masked(ws: Socket, watched: Watched) -> None:
    """Not a `next` without data and a `complete`, which clients take for a normal end."""
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
    """Its cursor must not reach the client, which would never ask for it again."""
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


async def test_streams_of_one_event_ask_the_database_once(
    ws: Socket, guest: Http, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten utterances in a batch, one query for their session; the next event asks anew."""
    session_id = await started(guest)
    agent = Agent(backend, session_id)
    await agent.come()
    for index in range(10):
        await agent.say(f"line {index}", segment=f"SG_{index}")
    asked: list[list[str]] = []
    ask = nodes.nodes

    async def counted(backend: Backend, viewer: Any, ids: list[str]) -> Any:
        asked.append(ids)
        return await ask(backend, viewer, ids)

    monkeypatch.setattr(nodes, "nodes", counted)
    await ws.subscribe(
        "subscription($id: ID!) { transcripts(sessionId: $id) { utterances "
        "{ session { title } } } }",
        {"id": session_id},
    )

    replay = (await ws.next())["transcripts"]["utterances"]
    assert replay == [{"session": {"title": "New Conversation"}}] * 10
    assert asked == [[session_id]]
    await ws.next()
    await guest.data(
        'mutation($id: ID!) { renameSession(input: {sessionId: $id, title: "New"}) '
        "{ session { id } } }",
        {"id": session_id},
    )
    await agent.say("and on", segment="SG_on")
    assert (await ws.next())["transcripts"]["utterances"] == [{"session": {"title": "New"}}]


# ---------------------------------------------------------------- who it is


async def token(guest: Http, *scopes: str) -> str:
    data = await guest.data(
        "mutation($scopes: [TokenScope!]!) { createApiToken(input: "
        '{name: "t", scopes: $scopes}) { secret } }',
        {"scopes": list(scopes)},
    )
    secret: str = data["createApiToken"]["secret"]
    return secret


async def whoami(ws: Socket) -> dict[str, Any]:
    await ws.subscribe("{ viewer { id } }", id="who")
    data = await ws.next("who")
    await ws.receive()
    return data


async def test_a_token_in_connection_init_works_from_any_origin(url: str, guest: Http) -> None:
    """Cross origin, without a cookie."""
    secret = await token(guest, "SESSIONS_READ")
    async with Socket(url, origin="https://elsewhere.example") as ws:
        await ws.init({"authorization": f"Bearer {secret}"})
        assert (await whoami(ws))["viewer"] is not None


async def test_a_cookie_from_another_origin_is_ignored(url: str, guest: Http) -> None:
    """The page may connect; it is nobody there."""
    async with Socket(url, cookie=guest.cookie, origin="https://elsewhere.example") as ws:
        await ws.init()
        assert await whoami(ws) == {"viewer": None}
    async with Socket(url, cookie=guest.cookie, origin=url) as ws:
        await ws.init()
        assert (await whoami(ws))["viewer"] is not None


@pytest.mark.parametrize("authorization", ["Bearer vox_wrong", "Bearer", "vox_x", "", 1, {}])
async def test_a_bad_token_is_not_anonymous(url: str, authorization: object) -> None:
    """Close code 4403, also beside a good cookie."""
    async with Socket(url) as ws:
        await ws.send({"type": "connection_init", "payload": {"Authorization": authorization}})
        assert await ws.closed() == (4403, "Forbidden")


async def test_a_login_that_has_ended_counts_no_more_on_an_open_connection(
    ws: Socket, guest: Http
) -> None:
    """Who it is is looked up for each operation; the stream that runs ends with its reason."""
    await ws.subscribe(UPDATES)
    await ws.next()

    await guest.data("mutation { signOut { isSignedOut } }")

    assert (await ws.next())["sessionUpdates"]["end"] == {"reason": "ACCESS_REVOKED"}
    assert await ws.receive() == {"id": "1", "type": "complete"}
    assert await whoami(ws) == {"viewer": None}


async def test_a_token_that_is_revoked_is_unauthenticated_on_an_open_connection(
    url: str, guest: Http
) -> None:
    """Not anonymous: its operations are refused."""
    secret = await token(guest, "SESSIONS_READ")
    async with Socket(url) as ws:
        await ws.init({"Authorization": f"Bearer {secret}"})
        tokens = await guest.data("{ viewer { apiTokens { nodes { id } } } }")
        [made] = tokens["viewer"]["apiTokens"]["nodes"]
        await guest.data(
            "mutation($id: ID!) { revokeApiToken(input: {id: $id}) { revokedApiTokenId } }", made
        )
        await ws.subscribe("{ viewer { id } }")
        assert (await ws.error())["extensions"]["code"] == "UNAUTHENTICATED"
