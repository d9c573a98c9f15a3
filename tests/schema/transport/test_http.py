"""GraphQL over HTTP, beyond what the audits check."""

import gzip
import json
from typing import Any

import httpx
import pytest

from schema.operations import limits
from tests.schema.clients import Http

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
TYPENAME = '{"query": "{ __typename }"}'


async def send(client: Http, body: str | bytes, **headers: str) -> httpx.Response:
    names = {"content-type": JSON}
    names.update({name.replace("_", "-"): value for name, value in headers.items()})
    return await client.raw.post("/graphql", content=body, headers=names)


def refusal(response: httpx.Response) -> dict[str, Any]:
    """Return the only error of a body that has nothing else in it."""
    body: dict[str, Any] = response.json()
    assert list(body) == ["errors"]
    [error] = body["errors"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"x"', id="a string"),
        pytest.param(b"[]", id="a batch"),
        pytest.param(b"{", id="half an object"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, id="deep arrays"),
        pytest.param(b'{"query":' * 10_000 + b"1" + b"}" * 10_000, id="deep objects"),
        pytest.param(gzip.compress(TYPENAME.encode()), id="gzip"),
        pytest.param(b'{"query": "\xff"}', id="not UTF-8"),
        pytest.param(b'{"query": "{ __typename }", "variables": {"x": NaN}}', id="NaN"),
        pytest.param(b'{"query": ' + b"1" * 5_000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b'{"query": ""}', id="an empty document"),
        pytest.param(b'{"query": "{ __typename }", "variables": []}', id="variables in a list"),
        pytest.param(b'{"query": "{ __typename }", "operationName": 1}', id="a numeric name"),
        pytest.param(b'{"query": "{ __typename }", "extensions": "x"}', id="extensions as text"),
    ],
)
async def test_what_is_no_request_is_refused_in_json(client: Http, body: bytes) -> None:
    """The status is 400 and the error has a code, whatever the body is."""
    response = await send(client, body)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert refusal(response)["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"],
)
async def test_a_body_must_say_that_it_is_json(client: Http, content_type: str) -> None:
    """Content types that a form can send are refused, so forms of other sites can do nothing."""
    response = await send(client, TYPENAME, content_type=content_type)

    assert response.status_code == 415
    assert refusal(response)["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_over_8_mib_is_refused(client: Http, is_declared: bool) -> None:
    """It is refused unread if its length is declared, otherwise once the limit is passed."""
    body = b" " * (limits.MAX_BODY + 1)

    async def chunks() -> Any:
        yield body

    headers = {"content-type": JSON}
    content: Any = body if is_declared else chunks()
    response = await client.raw.post("/graphql", content=content, headers=headers)

    assert response.status_code == 413
    assert "8 MiB" in refusal(response)["message"]


async def test_a_body_of_8_mib_is_read(client: Http) -> None:
    """The limit itself is allowed."""
    padding = " " * (limits.MAX_BODY - len(TYPENAME))

    response = await send(client, TYPENAME + padding)

    assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_type_nobody_can_give_is_refused(client: Http) -> None:
    """An Accept header without any supported type gives 406."""
    response = await send(client, TYPENAME, accept="image/png")

    assert response.status_code == 406
    assert refusal(response)["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        (f"{GRAPHQL}, {JSON}", GRAPHQL),
        (f"{JSON}, {GRAPHQL};q=0.9", JSON),
        (f"{GRAPHQL};q=0, */*", JSON),
        (f"{GRAPHQL}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL),
        ("text/html, */*;q=0.1", JSON),
    ],
)
async def test_the_answer_has_the_type_that_is_preferred(
    client: Http, accept: str, given: str
) -> None:
    """Quality decides; at equal quality the newer type wins if both are named."""
    response = await send(client, TYPENAME, accept=accept)

    assert response.headers["content-type"] == f"{given}; charset=utf-8"


async def test_other_methods_are_refused(client: Http) -> None:
    """The answer lists the allowed methods."""
    response = await client.raw.put("/graphql", content=TYPENAME)

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_a_mutation_can_not_be_sent_by_get(client: Http) -> None:
    """Following a link must not change anything."""
    query = "mutation { signInAsGuest { viewer { id } } }"
    response = await client.raw.get("/graphql", params={"query": query})

    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "set-cookie" not in response.headers


async def test_a_query_can_be_sent_by_get(client: Http) -> None:
    """GET accepts variables and an operation name, as the specification requires."""
    response = await client.raw.get(
        "/graphql",
        params={
            "query": "query A($n: String!) { __type(name: $n) { kind } } query B { __typename }",
            "variables": json.dumps({"n": "Node"}),
            "operationName": "A",
        },
    )

    assert response.json() == {"data": {"__type": {"kind": "INTERFACE"}}}


async def test_a_subscription_by_post_is_refused(client: Http) -> None:
    """It would get one empty answer."""
    response = await client.post("subscription { sessionUpdates { deletedSessionId } }")

    assert response.status_code == 400
    assert "WebSocket" in refusal(response)["message"]


@pytest.mark.parametrize(
    ("query", "name", "told"),
    [
        ("query A { __typename } query B { __typename }", None, "operationName"),
        ("query A { __typename }", "B", "no operation called 'B'"),
        ("fragment F on Query { __typename }", None, "never used"),
    ],
)
async def test_it_must_be_clear_which_operation_is_meant(
    client: Http, query: str, name: str | None, told: str
) -> None:
    """The server does not guess and run the first one."""
    body = json.dumps({"query": query, "operationName": name})
    response = await send(client, body, accept=GRAPHQL)

    assert response.status_code == 400
    assert told in response.json()["errors"][0]["message"]


async def test_pages_of_other_origins_may_ask_but_not_with_cookies(client: Http) -> None:
    """The preflight allows a bearer token but no credentials."""
    preflight = await client.raw.options(
        "/graphql",
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers


async def test_pages_of_other_origins_may_send_every_header(client: Http) -> None:
    """Headers of Apollo, Sentry and tracing are allowed; malformed lists are not echoed."""

    async def allowed(names: str) -> set[str]:
        preflight = await client.raw.options(
            "/graphql",
            headers={
                "Origin": "https://elsewhere.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": names,
            },
        )
        assert preflight.status_code == 204
        told = preflight.headers["access-control-allow-headers"]
        return {name.strip().lower() for name in told.split(",")}

    usual = {"accept", "authorization", "content-type"}
    sent = {"apollographql-client-name", "traceparent", "baggage", "sentry-trace", "x-request-id"}
    assert await allowed(",".join(sorted(sent))) == usual | sent
    assert await allowed("graphql-preflight") == usual | {"graphql-preflight"}
    assert await allowed("") == usual
    assert await allowed("a;b: c") == usual
    assert await allowed("x" * 3_000) == usual


async def test_a_handshake_that_lost_its_upgrade_header_is_told_so(client: Http) -> None:
    """A proxy removed the header; the request is not treated as a query without a document."""
    response = await client.raw.get(
        "/graphql", headers={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Accept": "*/*"}
    )

    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")
    assert "a proxy on the way has taken it" in refusal(response)["message"]


async def test_a_persisted_query_is_told_to_send_the_document(client: Http) -> None:
    """Clients recognise the message and then send the document."""
    hashed = {"version": 1, "sha256Hash": "0" * 64}
    body = json.dumps({"extensions": {"persistedQuery": hashed}})
    response = await send(client, body, accept=GRAPHQL)

    assert refusal(response)["message"] == "PersistedQueryNotSupported"
    whole = json.dumps({"query": "{ __typename }", "extensions": {"persistedQuery": hashed}})
    assert (await send(client, whole)).json() == {"data": {"__typename": "Query"}}


async def test_what_a_client_sends_is_repeated_in_part_at_most(client: Http) -> None:
    """Long operation names and thousands of errors are truncated."""
    named = json.dumps({"query": "{ __typename }", "operationName": "n" * 1_000_000})
    assert len((await send(client, named)).content) < 500

    fields = " ".join(f"nothing{number}" for number in range(600))
    told = (await send(client, json.dumps({"query": f"{{ {fields} }}"}))).json()["errors"]
    assert len(told) == 20
    assert told[-1]["message"].endswith("more errors are not shown.")
