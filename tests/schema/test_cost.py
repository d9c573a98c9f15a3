"""Lists in lists multiply, and what they multiply to is bounded."""

from typing import Any

import pytest

from schema.documents import DocumentRefused, Documents
from schema.executable import EXECUTABLE

NESTED = """
query($sessions: Int, $utterances: Int = 500) {
  sessionHistory(first: $sessions) { nodes { utterances(last: $utterances) { nodes { id } } } }
}
"""
LATEST = (
    "{ sessionHistory(first: 10) { edges { node { utterances(first: 500) { totalCount } } } } }"
)
BY_IDS = """
query($ids: [ID!]!) {
  nodes(ids: $ids) { ... on Session { utterances(last: 100) { nodes { id } } } }
}
"""
CIRCLES = "{ sessionHistory(first: 1) { nodes { ...S } } } fragment S on Session { utterances { \
nodes { session { utterances { nodes { session { utterances { totalCount } } } } } } } }"
EVENTS = "subscription($id: ID!) { transcripts(sessionId: $id) { utterances { session { %s } } } }"
SAVED = "mutation($i: SaveSessionInput!) { saveSession(input: $i) { conflicts { kept { %s } } } }"


@pytest.fixture
def documents() -> Documents:
    return Documents(EXECUTABLE._schema)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (NESTED, None),
        (NESTED, {"sessions": 100, "utterances": 100}),
        (NESTED, {"sessions": None, "utterances": None}),
        (LATEST, {}),
        (BY_IDS, {}),
        (EVENTS % "title", {}),
        (SAVED % "text session { id }", {}),
    ],
)
def test_what_an_app_asks_for_is_given(
    documents: Documents, query: str, variables: dict[str, Any] | None
) -> None:
    """A page of the history with its transcripts, changes with their session, conflicts."""
    documents.operation(query, None, variables)


@pytest.mark.parametrize(
    ("query", "variables", "objects"),
    [
        (NESTED, {"sessions": 100}, 100 * 501),
        (NESTED, {"sessions": 25}, 25 * 501),
        (CIRCLES, {}, 1 + 500 + 500**2 + 500**3),
        (EVENTS % "utterances { totalCount }", {}, 500 * 501),
        (SAVED % "session { utterances { totalCount } }", {}, 10_000 * 501),
    ],
)
def test_what_multiplies_too_far_is_refused_before_it_is_read(
    documents: Documents, query: str, variables: dict[str, Any], objects: int
) -> None:
    """With the number it could come to; a remembered document is counted again."""
    for _ in range(2):
        with pytest.raises(DocumentRefused) as refused:
            documents.operation(query, None, variables)
        assert f"may give {objects} objects" in refused.value.errors[0].message
