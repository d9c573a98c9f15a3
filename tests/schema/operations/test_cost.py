"""An operation's cost is computed before it runs and matches its work."""

from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
)

from resolvers.accounts.rate_limits import SMALL
from schema.executable import EXECUTABLE
from schema.operations import cost
from schema.operations.documents import DocumentRefused, Documents
from settings import MIN_POINTS

UTTERANCE = (
    "id key revision role speaker source text isFinal isInterrupted sortKey position language "
    "confidence startedAt endedAt cursor"
)
NESTED = """
query($sessions: Int, $utterances: Int = 500) {
  sessionHistory(first: $sessions) { nodes { utterances(last: $utterances) { nodes { id } } } }
}
"""
SEARCHED = "query%s { sessionHistory(filter: %s) { nodes { id } } }"
FOUND = 'query%s { session(id: "s") { utterances(first: 1, search: %s) { nodes { id } } } }'
BY_IDS = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Session { %s } } }"
EVENTS = "subscription($id: ID!) { transcripts(sessionId: $id) { utterances { %s } } }"
SAVED = "mutation($i: SaveSessionInput!) { saveSession(input: $i) { conflicts { kept { %s } } } }"
MANY = " ".join(f"s{n}: session {{ id title status version preview }}" for n in range(45))
TEXTS = " ".join(f"t{n}: text" for n in range(50))


@pytest.fixture
def documents() -> Documents:
    return Documents(EXECUTABLE._schema)


@pytest.mark.parametrize(
    ("query", "variables", "points"),
    [
        ("{ __typename }", {}, 101),
        ("{ viewer { id } }", {}, 202),
        ('{ session(id: "ses_x") { id title } }', {}, 203),
        # A request, a connection (1 + 100), and 20 rows (5 + 1) in a list.
        ("{ sessionHistory { nodes { id } } }", {}, 100 + 101 + 1 + 20 * 6),
        ("{ sessionHistory(first: 3) { nodes { id } } }", {}, 100 + 101 + 1 + 3 * 6),
        ("{ sessionHistory(last: 3) { nodes { id } totalCount } }", {}, 100 + 101 + 1 + 18 + 101),
        (NESTED, {"sessions": 2, "utterances": 3}, 100 + 101 + 1 + 2 * (5 + 101 + 1 + 3 * 6)),
        (NESTED, {"sessions": 1}, 100 + 101 + 1 + 5 + 101 + 1 + 500 * 6),
        (NESTED, {"sessions": None, "utterances": 1.0}, 100 + 101 + 1 + 20 * (5 + 101 + 1 + 6)),
        # A page's rows are read whichever of its fields are selected.
        ("{ sessionHistory(first: 3) { pageInfo { hasNextPage } } }", {}, 100 + 101 + 15 + 2),
        ("{ sessionHistory(first: 3) { edges { cursor } } }", {}, 100 + 101 + 15 + 1 + 3 * 2),
        (SEARCHED % ("", '{search: "x"}'), {}, 100 + 101 + 3_000 + 20 * 5 + 1 + 20),
        (SEARCHED % ("", "{status: ENDED}"), {}, 100 + 101 + 20 * 5 + 1 + 20),
        (
            SEARCHED % ("($f: SessionFilter)", "$f"),
            {"f": {"search": "x"}},
            100 + 101 + 3_000 + 20 * 5 + 1 + 20,
        ),
        (
            SEARCHED % ("($s: String)", "{search: $s}"),
            {"s": "x"},
            100 + 101 + 3_000 + 20 * 5 + 1 + 20,
        ),
        (SEARCHED % ("($s: String)", "{search: $s}"), {"s": ""}, 100 + 101 + 20 * 5 + 1 + 20),
        (
            SEARCHED % ("($f: SessionFilter)", "$f"),
            {"f": {"search": None}},
            100 + 101 + 20 * 5 + 1 + 20,
        ),
        (SEARCHED % ("($f: SessionFilter)", "$f"), {}, 100 + 101 + 20 * 5 + 1 + 20),
        # A session, a page that is searched, and its row.
        (FOUND % ("", '"x"'), {}, 100 + 102 + 101 + 3_000 + 5 + 1),
        (FOUND % ("($s: String)", "$s"), {"s": "x"}, 100 + 102 + 101 + 3_000 + 5 + 1),
        (FOUND % ("($s: String)", "$s"), {"s": None}, 100 + 102 + 101 + 5 + 1),
        (BY_IDS % "id", {"ids": ["a", "b"]}, 100 + 101 + 2 * 2),
        (BY_IDS % "id", {}, 100 + 101 + 100 * 2),
        (EVENTS % "text", {}, 1 + 1 + 250 * 6),
    ],
)
def test_points(documents: Documents, query: str, variables: dict[str, Any], points: int) -> None:
    """A field costs 1, a row 5, a read and a request 100; lists multiply."""
    for _ in range(2):
        assert documents.operation(query, None, variables).cost == points


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (f'{{ session(id: "s") {{ title utterances {{ nodes {{ {UTTERANCE} }} }} }} }}', {}),
        (NESTED, {"sessions": 20, "utterances": 80}),
        (
            "{ sessionHistory(first: 100) { edges { cursor node { id title status preview version "
            "createdAt endedAt utteranceCount } match { snippet utterance { id text } } } } }",
            {},
        ),
        (EVENTS % UTTERANCE, {}),
        (EVENTS % "text session { title }", {}),
        (SAVED % "text session { id }", {}),
        (get_introspection_query(descriptions=True, input_value_deprecation=True), {}),
    ],
)
def test_what_an_app_asks_for_is_given(
    documents: Documents, query: str, variables: dict[str, Any]
) -> None:
    """Transcripts, the history with matches, events, conflicts and introspection are allowed."""
    documents.operation(query, None, variables)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (NESTED, {}),
        (NESTED, {"sessions": 100}),
        (NESTED, {"sessions": 1, "utterances": 10**400}),
        (NESTED.replace("nodes { id }", "pageInfo { hasNextPage }"), {"sessions": 100}),
        (NESTED, {"sessions": None, "utterances": None}),
        # The same conversation repeatedly, in a list of its own utterances.
        (f'{{ session(id: "s") {{ utterances(first: 100) {{ nodes {{ {MANY} }} }} }} }}', {}),
        (BY_IDS % f"utterances(first: 4) {{ nodes {{ {MANY} }} }}", {"ids": ["a"] * 100}),
        (f'{{ session(id: "s") {{ utterances {{ nodes {{ {TEXTS} }} }} }} }}', {}),
        (EVENTS % "session { utterances { nodes { id } } }", {}),
        (EVENTS % TEXTS, {}),
        (SAVED % "session { utterances { totalCount } }", {}),
        (
            "{ sessionHistory(first: 1) { nodes { ...S } } } fragment S on Session { utterances { "
            "nodes { session { utterances { nodes { session { id } } } } } } }",
            {},
        ),
    ],
)
def test_what_multiplies_too_far_is_refused_before_it_is_read(
    documents: Documents, query: str, variables: dict[str, Any]
) -> None:
    """The error names the cost; a cached document is counted again."""
    for _ in range(2):
        with pytest.raises(DocumentRefused) as refused:
            documents.operation(query, None, variables)
        message = refused.value.errors[0].message
        assert message.startswith("The operation costs ")
        assert int(message.split()[3]) > cost.MAX_COST


def test_a_fragment_counts_each_time_it_is_used(documents: Documents) -> None:
    """In a connection, it counts with that connection's page size."""
    query = """{
      one: sessionHistory(first: 1) { ...Page } ten: sessionHistory(first: 10) { ...Page }
    }
    fragment Page on SessionConnection { nodes { ...Id } }
    fragment Id on Session { id }"""

    assert documents.operation(query).cost == 100 + 2 * 102 + 6 + 60


def test_every_list_of_the_schema_has_a_length() -> None:
    """A new list of objects must declare its maximum length or be part of a connection."""
    for name, kind in EXECUTABLE._schema.type_map.items():
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) or name.startswith("__"):
            continue
        for field, found in kind.fields.items():
            inner = found.type.of_type if isinstance(found.type, GraphQLNonNull) else found.type
            is_list = isinstance(inner, GraphQLList)
            if is_list and not is_leaf_type(get_named_type(found.type)):
                is_known = (name, field) in {*cost._LISTS, ("Query", "nodes")}
                assert is_known or name.endswith("Connection"), f"{name}.{field}"
            if str(get_named_type(found.type)).endswith("Connection"):
                assert (name, field) in cost._PAGES, f"{name}.{field}"


def test_the_smallest_budget_holds_the_largest_operation() -> None:
    """Otherwise the largest operation would be told to retry forever."""
    assert MIN_POINTS == cost.MAX_COST


def test_what_pages_ask_for_all_the_time_is_free(documents: Documents) -> None:
    """Small operations cost no budget."""
    assert documents.operation("{ viewer { id email isGuest } }").cost < SMALL
