"""Too many values are refused before any of them is read."""

from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, get_named_type

from resolvers.refusals import BadUserInput
from schema.executable import EXECUTABLE
from schema.operations import variables
from schema.operations.documents import Documents
from tests.schema.clients import Http, Socket

SCHEMA = EXECUTABLE._schema
HISTORY = "query($f: SessionFilter) { sessionHistory(filter: $f) { totalCount } }"
STATUS = "query($s: [SessionStatus!]) { sessionHistory(filter: {status: $s}) { totalCount } }"
BY_IDS = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
TOKEN = "mutation($i: CreateApiTokenInput!) { createApiToken(input: $i) { apiToken { id } } }"
SAVE = "mutation($i: SaveSessionInput!) { saveSession(input: $i) { createdCount } }"


async def count(query: str, given: dict[str, Any]) -> int:
    node = Documents(SCHEMA).operation(query, None, {}).node
    return (await variables.look(SCHEMA, node, given)).values


@pytest.mark.parametrize(
    ("query", "given", "field"),
    [
        (HISTORY, {"f": {"status": ["ENDED"] * 800_000}}, ["status"]),
        (STATUS, {"s": ["ENDED"] * 21}, ["s"]),
        (BY_IDS, {"ids": ["ses_x"] * 101}, ["ids"]),
        (TOKEN, {"i": {"name": "a", "scopes": ["SESSIONS_READ"] * 400_000}}, ["scopes"]),
        (SAVE, {"i": {"sessionId": "ses_x", "messages": [{}] * 10_001}}, ["messages"]),
        (HISTORY, {"f": {f"x{n}": 1 for n in range(600)}}, []),
        (
            HISTORY,
            {"f": {"createdAt": {"x" * 100_000 + str(n): 1 for n in range(6)}}},
            ["createdAt"],
        ),
        (SAVE, {"i": {"messages": [{"nonsense": 1}] * 10_000}}, ["messages", 5]),
    ],
)
async def test_too_much_is_refused(
    query: str, given: dict[str, Any], field: list[str | int]
) -> None:
    """The error is short and names the field."""
    with pytest.raises(BadUserInput) as refused:
        await count(query, given)

    assert refused.value.field == field
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("query", "given", "values"),
    [
        (HISTORY, {}, 0),
        (HISTORY, {"f": None, "more": [1] * 1_000_000}, 1),
        (HISTORY, {"f": {"search": "x", "status": ["ENDED", "ACTIVE"]}}, 5),
        (BY_IDS, {"ids": ["ses_x"] * 100}, 101),
        # A single value for a list, and values of the wrong type: graphql-core reports those.
        (BY_IDS, {"ids": "ses_x"}, 1),
        (HISTORY, {"f": [1, 2, 3]}, 1),
        (SAVE, {"i": {"messages": [{"key": "k"}] * 10_000}}, 20_002),
    ],
)
async def test_everything_else_is_only_counted(
    query: str, given: dict[str, Any], values: int
) -> None:
    """Only sizes are limited here; graphql-core reports values of the wrong type."""
    assert await count(query, given) == values


def test_every_list_of_an_input_has_a_length() -> None:
    """A new list must declare its maximum length."""
    for kind in SCHEMA.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            for name, field in kind.fields.items():
                if "[" in str(field.type):
                    assert get_named_type(field.type).name in variables.LENGTHS, f"{kind}.{name}"
    for name in variables.LENGTHS:
        kind = SCHEMA.type_map[name]
        if isinstance(kind, GraphQLEnumType):
            assert len(kind.values) <= variables.LENGTHS[name]


async def test_what_is_refused_has_done_nothing(guest: Http) -> None:
    """No token is made with 90,000 scopes."""
    scopes = ["SESSIONS_READ"] * 90_000

    refusal = await guest.refusal(TOKEN, {"i": {"name": "a", "scopes": scopes}})

    assert refusal["extensions"] == {"code": "BAD_USER_INPUT", "field": ["scopes"]}
    assert refusal["message"] == "`scopes` may have 20 items at most, not 90,000."
    tokens = await guest.data("{ viewer { apiTokens { totalCount } } }")
    assert tokens["viewer"]["apiTokens"]["totalCount"] == 0


async def test_more_than_any_request_holds_is_not_even_read(guest: Http, ws: Socket) -> None:
    """HTTP refuses the request; a WebSocket closes the connection."""
    given = {"i": {"name": "a", "scopes": ["SESSIONS_READ"] * 400_000}}

    refused = await guest.post(TOKEN, given, accept="application/graphql-response+json")

    [error] = refused.json()["errors"]
    assert refused.status_code == 400
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert error["message"] == "The JSON holds more than 100,000 values. Ask for less at once."
    await ws.subscribe(BY_IDS, {"ids": [1] * 200_000})
    assert (await ws.closed())[0] == 4400
    tokens = await guest.data("{ viewer { apiTokens { totalCount } } }")
    assert tokens["viewer"]["apiTokens"]["totalCount"] == 0


async def test_many_unknown_fields_make_one_short_error(guest: Http) -> None:
    """The error suggests no alternatives for each field."""
    answer = await guest.post(HISTORY, {"f": {f"searchh{n}": "x" for n in range(600)}})

    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "SessionFilter has no field 'searchh5'" in error["message"]
    assert len(answer.content) < 1_000


async def test_a_search_of_megabytes_is_looked_at_as_far_as_words_are_looked_for(
    guest: Http,
) -> None:
    """It works like any other search."""
    found = await guest.data(HISTORY, {"f": {"search": "word " * 1_000_000}})
    assert found["sessionHistory"]["totalCount"] == 0
