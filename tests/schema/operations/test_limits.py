"""No document can keep the server busy."""

import pytest
from graphql import get_introspection_query

from schema.executable import EXECUTABLE
from schema.operations.documents import DocumentRefused, Documents
from tests.processor import processor_time
from tests.schema.clients import Http

QUICKLY_S = 0.5
"""The limit on a busy machine; the worst of these documents take a tenth of it."""


def fragments(count: int, uses: int, field: str) -> str:
    """Return fragments that each use the next several times: fields^count in a few bytes."""
    spreads = [" ".join([f"...F{index + 1}"] * uses) for index in range(count)]
    chain = "".join(
        f"fragment F{index} on Query {{ {spread} }} " for index, spread in enumerate(spreads)
    )
    return f"{{ ...F0 }} {chain} fragment F{count} on Query {{ {field} }}"


REFUSED = {
    "depth": (
        "{ node(id: 1) { ... on Session {"
        + "utterances { nodes { session {" * 7
        + "id"
        + "}" * (3 * 7 + 3),
        "23 levels",
    ),
    "nesting": ("{ viewer " * 500 + "}" * 500, "nested too deeply"),
    "tokens": ("{" + " viewer { id }" * 700 + "}", "tokens"),
    "characters": ('{ node(id: "' + "x" * 200_000 + '") { id } }', "characters"),
    "fields": ("{" + " __typename" * 1_001 + "}", "1001 fields"),
    "aliases": ("{" + "".join(f" a{i}: __typename" for i in range(51)) + "}", "51 aliases"),
    "directives": ("{ __typename" + " @skip(if: false)" * 51 + "}", "51 directives"),
    "directives of variables": (
        "query(" + "".join(f"$a{i}: Int @skip(if: true) " for i in range(51)) + ") { __typename }",
        "51 directives",
    ),
    "fields in fragments": (fragments(40, 10, "__typename"), "very many fields"),
    "aliases in fragments": (fragments(40, 10, "a: __typename"), "very many aliases"),
    "a chain of fragments": (fragments(300, 1, "__typename"), None),
    "fragments in a circle": (
        "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "Cannot spread fragment",
    ),
    "inline fragments": ("{" + "... {" * 400 + "__typename" + "}" * 401, None),
    "deep values": ("{ node(id: " + "[" * 900 + "]" * 900 + ") { id } }", "nested too deeply"),
    "the same field": ("{" + " __typename" * 1_000 + "}", "the same fields too often"),
    "many variables": (
        "query(" + " ".join(f"$v{i}: Int" for i in range(450)) + ") { __typename }",
        "never used",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_large_is_refused_quickly(name: str) -> None:
    """Each limit has its own message."""
    query, told = REFUSED[name]
    documents = Documents(EXECUTABLE._schema)

    with processor_time() as spent, pytest.raises(DocumentRefused) as refused:
        documents.operation(query, None)

    messages = [error.message for error in refused.value.errors]
    assert any(told in message for message in messages) if told else messages
    assert spent.seconds < QUICKLY_S


ALLOWED = {
    "introspection": get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    ),
    "the same field 300 times": "{" + " __typename" * 300 + "}",
    "50 aliases": "{" + "".join(f" a{i}: __typename" for i in range(50)) + "}",
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_people_send_is_allowed_and_quickly(name: str) -> None:
    """Some standard rules take quadratic time, which is little within the limits."""
    documents = Documents(EXECUTABLE._schema)

    with processor_time() as spent:
        documents.operation(ALLOWED[name], None)

    assert spent.seconds < QUICKLY_S


def test_a_document_is_parsed_once() -> None:
    """A second request reuses the first one's document."""
    documents = Documents(EXECUTABLE._schema)

    first = documents.operation("{ __typename }", None)
    second = documents.operation("{ __typename }", None)

    assert second.document is first.document


def test_what_is_remembered_is_bounded() -> None:
    """The cache is limited by total length: it drops the oldest and never keeps long documents."""
    documents = Documents(EXECUTABLE._schema, max_characters=1_000)
    long = "{ __typename }" + " " * 200
    kept = documents.operation("{ __typename }", None).document

    assert documents.operation(long, None).document is not documents.operation(long, None).document
    assert documents.operation("{ __typename }", None).document is kept
    for index in range(100):
        documents.operation(f"query Q{index} {{ __typename }}", None)
    assert documents.operation("{ __typename }", None).document is not kept


async def test_a_limit_is_bad_user_input(client: Http) -> None:
    """Clients get the code BAD_USER_INPUT."""
    assert await client.code("{" + " __typename" * 1_001 + "}") == "BAD_USER_INPUT"
