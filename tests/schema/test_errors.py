"""Errors, as clients and operators see them."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from models import tables
from resolvers.accounts import authentication
from resolvers.refusals import RateLimited, Refusal
from resolvers.sessions import manage
from tests.schema.clients import Http

SESSION = "query Q($s: ID!) { session(id: $s) { id } }"
SECRET = "what somebody said"


async def failing(*_: object) -> Any:
    raise LookupError(SECRET) from ValueError(SECRET)


async def test_a_refusal_says_its_code_its_field_and_what_to_do(guest: Http) -> None:
    """Every refusal has the same form and the path of its root field."""
    refusal = await guest.refusal(
        'mutation { signUp(input: {email: "nobody", password: "long enough"}) { viewer { id } } }'
    )

    assert refusal["extensions"] == {"code": "BAD_USER_INPUT", "field": ["email"]}
    assert refusal["path"] == ["signUp"]
    assert refusal["locations"] == [{"line": 1, "column": 12}]


@pytest.mark.parametrize("kind", Refusal.__subclasses__(), ids=lambda kind: kind.code)
async def test_every_refusal_keeps_its_code(
    guest: Http, monkeypatch: pytest.MonkeyPatch, kind: type[Refusal]
) -> None:
    """Refusals are neither masked nor logged."""

    async def refusing(*_: object) -> Any:
        raise kind("Do something else.", field=["a", 3])

    monkeypatch.setattr(manage, "get_session", refusing)
    with capture_logs() as logs:
        refusal = await guest.refusal(SESSION, {"s": "x"})

    assert refusal["message"] == "Do something else."
    more = {"retryAfter": 60} if kind is RateLimited else {}
    assert refusal["extensions"] == {"code": kind.code, "field": ["a", 3], **more}
    assert logs == []


async def test_a_fault_is_masked_and_logged_under_the_same_id(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the location; neither the client nor the log gets the data."""
    monkeypatch.setattr(manage, "get_session", failing)

    with capture_logs() as logs:
        refusal = await guest.refusal(SESSION, {"s": SECRET})

    assert refusal["extensions"]["code"] == "INTERNAL"
    assert refusal["extensions"]["id"] in refusal["message"]
    [entry] = logs
    assert entry["fault_id"] == refusal["extensions"]["id"]
    assert entry["path"] == "session"
    assert entry["kinds"] == ["builtins.LookupError", "builtins.ValueError"]
    assert "in failing" in entry["stack"]
    assert SECRET not in json.dumps(refusal) + json.dumps(entry)


async def test_a_fault_before_there_is_an_operation_is_masked_too(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is 500 and the body JSON."""
    monkeypatch.setattr(authentication, "viewer_of_login", failing)

    with capture_logs() as logs:
        response = await guest.post("{ __typename }")

    assert response.status_code == 500
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "id": logs[0]["fault_id"]}
    assert SECRET not in response.text + json.dumps(logs)


async def test_a_value_that_can_not_be_shown_is_a_fault(
    guest: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the client's mistake, although graphql-core raises the same kind of error."""

    class Odd:
        id = "usr_1"
        created_at = "not a datetime"

    async def odd(*_: object) -> Any:
        return Odd()

    monkeypatch.setattr(authentication, "viewer_user", odd)

    assert await guest.code("{ viewer { id } }") == "INTERNAL"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ session }", {}),
        ("{ session(id: 1.5) { id } }", {}),
        ("{ sessionHistory(first: 1e3) { totalCount } }", {}),
        ("{ sessionHistory(filter: {status: [OVER]}) { totalCount } }", {}),
        (SESSION, {}),
        (SESSION, {"s": None}),
        (SESSION, {"s": {}}),
        ("query($n: Int) { sessionHistory(first: $n) { totalCount } }", {"n": 2**31}),
        ("query($n: Int) { sessionHistory(first: $n) { totalCount } }", {"n": True}),
        (
            "mutation($m: [MessageInput!]!) { saveSession(input: "
            '{sessionId: "x", messages: $m}) { isSaved } }',
            {"m": [{"key": "k"}]},
        ),
    ],
)
async def test_what_does_not_fit_the_types_is_bad_user_input(
    guest: Http, query: str, variables: dict[str, Any]
) -> None:
    """The answer has no `data` as nothing was executed, for literals and variables alike."""
    answer = await guest.answer(query, variables)

    assert "data" not in answer
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}


async def test_a_null_where_an_argument_needs_a_value_is_bad_user_input(guest: Http) -> None:
    """A variable with a default may be null, which the argument does not allow."""
    query = "mutation($i: StartNewChatInput = {}) { startNewChat(input: $i) { session { id } } }"

    assert await guest.code(query, {"i": None}) == "BAD_USER_INPUT"
    assert await tables.Session.all().count() == 0


async def test_a_refusal_does_not_erase_what_its_siblings_did(guest: Http) -> None:
    """Root fields are nullable, so the answer still contains the started chat."""
    answer = await guest.answer(
        "mutation { startNewChat { session { id } } "
        'renameSession(input: {sessionId: "x", title: "y"}) { session { id } } }'
    )

    assert answer["data"]["startNewChat"]["session"]["id"].startswith("ses_")
    assert answer["data"]["renameSession"] is None
    assert len(answer["errors"]) == 1


def test_the_codes_are_those_of_the_interface() -> None:
    """Clients rely on them."""
    assert {kind.code for kind in Refusal.__subclasses__()} == {
        "BAD_USER_INPUT",
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "NOT_FOUND",
        "CONFLICT",
        "RATE_LIMITED",
        "QUOTA_EXCEEDED",
        "AGENT_UNAVAILABLE",
    }


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "\U0001f600" * 300, "\n", ""])
async def test_no_text_that_json_can_carry_is_a_fault(guest: Http, text: str) -> None:
    """Lone surrogates, NUL and control characters are refused or stored, never INTERNAL."""
    sent = json.dumps(text)
    started = await guest.data("mutation { startNewChat { session { id } } }")
    session_id = started["startNewChat"]["session"]["id"]
    operations = [
        ("{ __typename }", {}, text),
        (text, {}, None),
        ("{ node(id: " + sent + ") { id } }", {}, None),
        (SESSION, {"s": text}, None),
        ("query($t: String) { sessionHistory(after: $t) { totalCount } }", {"t": text}, None),
        (
            "query($t: String) { sessionHistory(filter: {search: $t}) { totalCount } }",
            {"t": text},
            None,
        ),
        (
            "query($t: String) { sessionHistory(filter: {agentName: $t}) { totalCount } }",
            {"t": text},
            None,
        ),
        (
            "mutation($t: String) { startNewChat(input: {title: $t}) { session { id } } }",
            {"t": text},
            None,
        ),
        (
            "mutation($t: String) { startNewChat(input: {idempotencyKey: $t}) { session { id } } }",
            {"t": text},
            None,
        ),
        (
            "mutation($t: String!, $s: ID!) { saveSession(input: {sessionId: $s, messages: "
            "[{key: $t, role: USER, text: $t, timestamp: 1769860800000}]}) { isSaved } }",
            {"t": text, "s": session_id},
            None,
        ),
        (
            "mutation($t: String!) { signUp(input: {email: $t, password: $t}) { viewer { id } } }",
            {"t": text},
            None,
        ),
        (
            "mutation($t: String!) { createApiToken(input: {name: $t, scopes: [SESSIONS_READ]}) "
            "{ secret } }",
            {"t": text},
            None,
        ),
    ]
    for query, variables, name in operations:
        body = json.dumps({"query": query, "variables": variables, "operationName": name})
        response = await guest.raw.post(
            "/graphql", content=body, headers={"content-type": "application/json"}
        )
        codes = [each["extensions"]["code"] for each in response.json().get("errors", ())]
        assert "INTERNAL" not in codes, (query, response.text)
        assert response.status_code in (200, 400)
