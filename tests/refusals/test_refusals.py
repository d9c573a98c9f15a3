"""Each refusal has its code, names the input at fault, and changes nothing."""

import json
from typing import Any

import pytest

from models.database import Connection, reader, transact
from models.tables import ApiToken, Login
from resolvers.accounts.api_tokens import TOKENS
from resolvers.accounts.rate_limits import Rate
from resolvers.backend import Backend
from resolvers.refusals import RateLimited
from resolvers.transcripts import cursors
from schema.operations.limits import MAX_BODY, MAX_FRAME
from tests.dump import dump
from tests.refusals.conftest import Scene
from tests.refusals.table import ENTRANCES, NOBODY, OPERATIONS, OWNER, PROGRAM, ROWS, STREAMS, Row
from tests.schema.clients import Http, Socket


def variables(scene: Scene, row: Row) -> dict[str, Any]:
    given: dict[str, Any] = scene.resolve(row.given)
    if row.of in STREAMS:
        return given
    return {"i": given} if "$i" in OPERATIONS[row.of] else {}


async def ask(scene: Scene, row: Row) -> dict[str, Any]:
    """Send the operation over HTTP and return its only error."""
    http = {OWNER: scene.owner, NOBODY: scene.nobody, PROGRAM: scene.nobody}.get(
        row.who, scene.stranger
    )
    headers = {"Content-Type": "application/json"}
    if row.who == PROGRAM:
        headers["Authorization"] = f"Bearer {scene.secret}"
    # Encoded here because httpx can't encode lone surrogates.
    body = json.dumps({"query": OPERATIONS[row.of], "variables": variables(scene, row)})
    answer = (await http.raw.post("/graphql", content=body, headers=headers)).json()
    assert (answer.get("data") or {row.of: None}) == {row.of: None}, row
    [error] = answer["errors"]
    return dict(error)


async def ask_socket(scene: Scene, url: str, row: Row) -> dict[str, Any]:
    """Send the operation over a WebSocket and return its only error."""
    cookie = {OWNER: scene.owner.cookie, NOBODY: None, PROGRAM: None}.get(
        row.who, scene.stranger.cookie
    )
    async with Socket(url, cookie=cookie) as socket:
        is_program = row.who == PROGRAM
        await socket.init({"Authorization": f"Bearer {scene.secret}"} if is_program else None)
        await socket.subscribe(OPERATIONS[row.of], variables(scene, row))
        message = await socket.receive()
        if row.of in STREAMS:
            # A refusal comes before the first event and ends the operation.
            assert message["type"] == "error", (str(row), message)
            [error] = message["payload"]
        else:
            told = message["payload"]
            [error] = told["errors"] if message["type"] == "next" else told
        return dict(error)


def told(error: dict[str, Any]) -> tuple[str, list[str | int] | None]:
    assert error["message"]
    return error["extensions"]["code"], error["extensions"].get("field")


def expected(row: Row) -> tuple[str, list[str | int] | None]:
    return row.code, None if row.field is None else list(row.field)


@pytest.mark.parametrize("of", [of for of in OPERATIONS if of not in STREAMS])
async def test_over_http(scene: Scene, of: str) -> None:
    """Each row gives its code and field and leaves the database unchanged."""
    before = await dump()
    for row in ROWS:
        if row.of == of:
            assert (str(row), *told(await ask(scene, row))) == (str(row), *expected(row))
            assert await dump() == before, f"{row} has changed something"


@pytest.mark.parametrize("of", [of for of in OPERATIONS if of not in ENTRANCES])
async def test_over_a_websocket(scene: Scene, url: str, of: str) -> None:
    """Codes and fields equal those over HTTP; a refused stream never begins."""
    mine = scene.ids["@mine"]
    scene.ids["@their cursor"] = cursors.encode_cursor(scene.ids["@theirs"], 0)
    scene.ids["@future cursor"] = cursors.encode_cursor(mine, 1_000)
    before = await dump()
    for row in ROWS:
        if row.of == of:
            error = await ask_socket(scene, url, row)
            assert (str(row), *told(error)) == (str(row), *expected(row))
            assert await dump() == before, f"{row} has changed something"


@pytest.mark.parametrize("of", sorted(ENTRANCES))
async def test_nobody_signs_in_over_a_websocket(scene: Scene, url: str, of: str) -> None:
    """It can't set a cookie: valid input gives BAD_USER_INPUT too."""
    given = {"email": "new@example.com", "password": "long enough"}
    before = await dump()
    error = await ask_socket(scene, url, Row(of, "over a WebSocket", given, "", who=NOBODY))
    assert told(error) == ("BAD_USER_INPUT", None)
    assert await dump() == before


@pytest.mark.parametrize("of", sorted(ENTRANCES))
async def test_nobody_signs_in_from_another_origin(scene: Scene, of: str) -> None:
    """Pages of other origins get no cookie: FORBIDDEN, and no account is created."""
    given = {"email": "new@example.com", "password": "long enough"}
    row = Row(of, "from elsewhere", given, "", who=NOBODY)
    before = await dump()
    error = await scene.nobody.refusal(
        OPERATIONS[of], variables(scene, row), origin="https://elsewhere.example"
    )
    assert told(error) == ("FORBIDDEN", None)
    assert scene.nobody.cookie is None
    assert await dump() == before


@pytest.mark.parametrize("of", sorted(ENTRANCES))
async def test_trying_too_often_is_rate_limited(
    scene: Scene, backend: Backend, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """The code is RATE_LIMITED, and nothing changes."""

    async def never(rate: Rate, who: str) -> None:
        raise RateLimited("Too many attempts. Try again in 5 minutes.", 300)

    monkeypatch.setattr(backend.limiter, "take", never)
    given = {"email": "new@example.com", "password": "long enough"}
    row = Row(of, "too often", given, "", who=NOBODY)
    before = await dump()
    assert told(await ask(scene, row)) == ("RATE_LIMITED", None)
    assert await dump() == before


async def test_one_token_too_many(scene: Scene) -> None:
    """An account may have a hundred tokens; one more gives QUOTA_EXCEEDED."""
    owner = scene.ids["@user"]
    held = await ApiToken.filter(user_id=owner).using_db(reader()).count()

    async def fill(conn: Connection) -> None:
        tokens = [
            ApiToken(user_id=owner, name="t", secret_hash=f"{index}", prefix="vox_", scopes=[])
            for index in range(TOKENS - held)
        ]
        await ApiToken.bulk_create(tokens, using_db=conn)

    await transact(fill)
    before = await dump()
    given = {"name": "t", "scopes": ["SESSIONS_READ"]}
    error = await ask(scene, Row("createApiToken", "one too many", given, ""))
    assert told(error) == ("QUOTA_EXCEEDED", None)
    assert await dump() == before


async def test_a_body_that_is_too_large_is_refused_unread(client: Http) -> None:
    """A body over 8 MiB gives 413, with a code like every error."""
    body = json.dumps({"query": "{ viewer { id } }", "x": "x" * MAX_BODY})
    before = await dump()
    answer = await client.raw.post(
        "/graphql", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413
    [error] = answer.json()["errors"]
    assert told(error)[0] == "BAD_USER_INPUT"
    assert await dump() == before


async def test_a_frame_that_is_too_large_closes_the_connection(scene: Scene, url: str) -> None:
    """A frame over 1 MiB gives 1009, and none of it is executed."""
    before = await dump()
    async with Socket(url, cookie=scene.owner.cookie) as socket:
        await socket.init()
        given = {"sessionId": scene.ids["@mine"], "title": "x" * MAX_FRAME}
        await socket.subscribe(OPERATIONS["renameSession"], {"i": given})
        assert (await socket.closed())[0] == 1009
    assert await dump() == before


async def test_a_cookie_that_was_signed_out_is_nobody(scene: Scene) -> None:
    """The old cookie is rejected for every operation."""
    await transact(lambda conn: Login.all().using_db(conn).delete())
    before = await dump()
    asked = [row for row in ROWS if row.who == OWNER and row.of == "renameSession"]
    for row in asked:
        assert told(await ask(scene, row)) == ("UNAUTHENTICATED", None), row
    assert await dump() == before


async def test_the_table_has_every_mutation_and_subscription(client: Http) -> None:
    """A new field of the running server's schema fails here until it has rows."""
    data = await client.data(
        "{ __schema { mutationType { fields { name args { name } } } "
        "subscriptionType { fields { name args { name } } } } }"
    )
    kinds = data["__schema"]
    fields = [*kinds["mutationType"]["fields"], *kinds["subscriptionType"]["fields"]]
    there = {field["name"] for field in fields}

    assert there == set(OPERATIONS)
    assert there == {row.of for row in ROWS}


@pytest.mark.parametrize(
    "of", sorted(set(OPERATIONS) - ENTRANCES - {"signOut", "createApiToken", "revokeApiToken"})
)
def test_every_way_to_a_session_is_tried_in_every_way(of: str) -> None:
    """Cases: signed out, another user's, unknown, malformed, and another kind of id."""
    tried = {(row.code, row.who) for row in ROWS if row.of == of}

    assert tried >= {
        ("UNAUTHENTICATED", NOBODY),
        ("FORBIDDEN", OWNER),
        ("FORBIDDEN", "stranger"),
        ("NOT_FOUND", OWNER),
        ("BAD_USER_INPUT", OWNER),
    }
