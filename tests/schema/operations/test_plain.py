"""Plain fields are read at once, with the same answers as by graphql-core's long way."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import GraphQLObjectType

from models.tables import Role
from schema.executable import EXECUTABLE
from schema.operations.execution import Execution
from schema.operations.plain import DoesNotFit, reader_of
from tests.schema.clients import Http
from tests.schema.every_field import QUERIES
from tests.schema.fakes import Agent

TYPES = cast(dict[str, GraphQLObjectType], EXECUTABLE._schema.type_map)
UTTERANCE = TYPES["Utterance"]


@pytest.mark.parametrize("name", ["history", "session", "viewer"])
async def test_the_short_way_answers_as_the_long_way_does(
    guest: Http, spoken: tuple[str, Agent], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every field of every object has the same value, and objects keep the document's order."""
    session_id, _ = spoken
    variables = {"id": session_id} if name == "session" else {}
    short = await guest.post(QUERIES[name], variables)

    monkeypatch.delattr(Execution, "execute_fields")
    long = await guest.post(QUERIES[name], variables)

    assert '"errors"' not in short.text
    assert short.text == long.text


def test_only_leaves_that_are_attributes_are_plain() -> None:
    """A field with a resolver, arguments or fields of its own goes the long way."""
    plain = {name for name in UTTERANCE.fields if reader_of(UTTERANCE, name) is not None}

    assert {"id", "key", "role", "text", "isFinal", "startedAt", "confidence"} <= plain
    assert not {"session", "cursor"} & plain
    assert reader_of(TYPES["Session"], "utterances") is None
    assert reader_of(TYPES["Session"], "agentState") is None


@pytest.mark.parametrize(
    ("field", "stored", "told"),
    [("role", Role.USER, "USER"), ("isFinal", True, True), ("speaker", None, None)],
)
def test_a_value_is_converted_by_its_type(field: str, stored: object, told: object) -> None:
    """The answer holds what JSON can write."""
    read = reader_of(UTTERANCE, field)
    assert read is not None
    attribute = "is_final" if field == "isFinal" else field

    value = read(SimpleNamespace(**{attribute: stored}))

    assert (value, type(value)) == (told, type(told))


async def test_a_value_that_the_schema_forbids_is_an_error_as_ever(
    guest: Http, spoken: tuple[str, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """graphql-core names the field, and the client gets no half object."""
    session_id, _ = spoken
    title = reader_of(TYPES["Session"], "title")
    assert title is not None
    with pytest.raises(DoesNotFit):
        title(SimpleNamespace(shown_title=None))
    monkeypatch.setattr("models.tables.Session.shown_title", None)

    answer: dict[str, Any] = await guest.answer(
        "query($id: ID!) { session(id: $id) { id title } }", {"id": session_id}
    )

    assert answer["data"] == {"session": None}
    assert answer["errors"][0]["path"] == ["session", "title"]
