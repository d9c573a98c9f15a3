"""graphql-transport-ws, message by message, on a real server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from resolvers.transcripts.transactions import Transactions
from schema.operations import limits
from tests.dump import dump
from tests.schema.clients import Http, Socket
from tests.schema.every_field import MUTATIONS, STREAMS, start

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


# ---------------------------------------------------------------- the connection


async def test_a_connection_is_acknowledged(url: str) -> None:
    """`payload: null` is accepted too, as the protocol allows it."""
    for payload in ("", ', "payload": null', ', "payload": {}'):
        async with Socket(url) as ws:
            await ws.send(f'{{"type": "connection_init"{payload}}}')
            assert await ws.receive() == {"type": "connection_ack"}


async def test_only_graphql_transport_ws_is_spoken(url: str) -> None:
    """The legacy protocol is refused: it skipped authentication."""
    async with Socket(url, protocol="graphql-ws") as ws:
        assert (await ws.closed())[0] == 4406


async def test_nothing_is_done_before_the_connection_is_acknowledged(url: str) -> None:
    """The close code is 4401."""
    async with Socket(url) as ws:
        before = await dump()
        await ws.subscribe("mutation { signInAsGuest { viewer { id } } }")
        assert await ws.closed() == (4401, "Unauthorized")
        assert await dump() == before


async def test_a_second_connection_init_closes_the_connection(ws: Socket) -> None:
    """The close code is 4429."""
    await ws.send({"type": "connection_init"})

    assert (await ws.closed())[0] == 4429


async def test_a_ping_is_answered(ws: Socket) -> None:
    """A ping gets a pong, and a pong gets nothing."""
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
    """The close code is 4400 with a readable reason, never 1006; nothing is written."""
    before = await dump()

    await ws.send(message)

    code, reason = await ws.closed()
    assert code == 4400
    assert reason
    assert await dump() == before


async def test_a_message_over_1_mib_closes_the_connection(ws: Socket) -> None:
    """The limit counts bytes, not characters."""
    query = "é" * (limits.MAX_FRAME // 2)
    before = await dump()

    await ws.send('{"id": "1", "type": "subscribe", "payload": {"query": "' + query + '"}}')

    assert await ws.closed() == (1009, "A message may have 1 MiB at most")
    assert await dump() == before


@pytest.mark.parametrize("id_", ["1", "x" * 101, "é" * 256, "\ud800"])
async def test_an_id_can_not_be_used_twice_at_once(ws: Socket, id_: str) -> None:
    """Close code 4409, whatever the id is: a close frame holds 123 bytes of UTF-8."""
    await ws.subscribe(UPDATES, id=id_)
    await ws.next(id_)
    await ws.subscribe(UPDATES, id=id_)

    assert await ws.closed() == (4409, "This id is in use already")


@pytest.mark.parametrize(
    "payload", [{"token": "vox_x"}, {"headers": {"Authorization": "Bearer x"}}, {"": ""}]
)
async def test_a_credential_in_another_place_is_not_anonymous(url: str, payload: object) -> None:
    """The server doesn't look there; the refusal says where the credential belongs."""
    async with Socket(url) as ws:
        await ws.send({"type": "connection_init", "payload": payload})
        code, reason = await ws.closed()
        assert code == 4400
        assert '{"Authorization": "Bearer …"}' in reason


async def test_other_members_beside_a_credential_do_no_harm(url: str) -> None:
    """Clients may send other members; a null credential counts as none."""
    async with Socket(url) as ws:
        await ws.send(
            {"type": "connection_init", "payload": {"authorization": None, "locale": "de"}}
        )
        assert await ws.receive() == {"type": "connection_ack"}


async def test_an_id_can_be_used_again_after_complete(ws: Socket) -> None:
    """The previous operation is removed at once."""
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
    """One more gets an `error`; the others go on."""
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
    """Each gets a `next`, then `complete`."""
    await ws.subscribe("{ viewer { isGuest } }", id="q")
    assert await ws.next("q") == {"viewer": {"isGuest": True}}
    assert await ws.receive() == {"id": "q", "type": "complete"}

    await ws.subscribe("mutation { startNewChat { session { status } } }", id="m")
    assert await ws.next("m") == {"startNewChat": {"session": {"status": "STARTING"}}}
    assert await ws.receive() == {"id": "m", "type": "complete"}


async def test_an_error_in_a_query_comes_beside_its_data(ws: Socket) -> None:
    """As over HTTP, it is a result and does not end the operation early."""
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
    """An `error` message ends the operation, also when repeated; the connection stays open."""
    for attempt in ("1", "2"):
        await ws.send({"id": attempt, "type": "subscribe", "payload": payload})
        assert (await ws.error(attempt))["extensions"]["code"] == "BAD_USER_INPUT"
    await ws.subscribe("{ __typename }", id="3")
    assert await ws.next("3") == {"__typename": "Query"}


@pytest.mark.parametrize(
    "query",
    [
        "mutation { signInAsGuest { viewer { id } } }",
        'mutation { signIn(input: {email: "a@b.c", password: "long enough"}) { viewer { id } } }',
        'mutation { signUp(input: {email: "a@b.c", password: "long enough"}) { viewer { id } } }',
    ],
)
async def test_signing_in_needs_http(ws: Socket, query: str) -> None:
    """A WebSocket can't set a cookie, and says so."""
    await ws.subscribe(query)

    [error] = (await ws.receive())["payload"]["errors"]

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "HTTP POST" in error["message"]


async def test_a_mutation_takes_effect_although_its_socket_is_gone(
    url: str, guest: Http, ws: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operation is cancelled during its transaction, and subscribers still get the change."""
    session_id = (await start(guest))["session"]["id"]
    await ws.subscribe(STREAMS["updates"], {"id": session_id})
    await ws.next()
    begun, cancelled = asyncio.Event(), asyncio.Event()
    run = Transactions.run

    async def watched(transactions: Transactions, work: Callable[[Any], Any]) -> Any:
        async def held(given: Any) -> Any:
            begun.set()
            await cancelled.wait()
            return await work(given)

        try:
            return await run(transactions, held)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with monkeypatch.context() as patch:
        patch.setattr(Transactions, "run", watched)
        async with asyncio.timeout(30), Socket(url, cookie=guest.cookie) as leaving:
            await leaving.init()
            await leaving.subscribe(MUTATIONS["delete"], {"i": {"sessionId": session_id}})
            await begun.wait()
        async with asyncio.timeout(30):
            await cancelled.wait()

    assert (await ws.next())["sessionUpdates"]["deletedSessionId"] == session_id
    assert (await ws.next())["sessionUpdates"]["end"]["reason"] == "SESSION_DELETED"
