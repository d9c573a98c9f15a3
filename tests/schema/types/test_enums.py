"""GraphQL shows the enumerations of the use cases, and the others use their values."""

from enum import Enum
from typing import get_args

import pytest
from graphql import GraphQLEnumType

from agent_bridge.protocol import Role, Source, State
from models import tables
from resolvers.viewer import TokenScope
from schema.executable import EXECUTABLE
from schema.types import enums


@pytest.mark.parametrize(
    "used",
    [tables.SessionStatus, tables.EndReason, tables.Role, tables.UtteranceSource, TokenScope],
)
def test_graphql_has_the_members_that_are_used(used: type[Enum]) -> None:
    """In the same order."""
    described = EXECUTABLE._schema.type_map[used.__name__]
    assert isinstance(described, GraphQLEnumType)
    assert list(described.values) == [member.name for member in used]
    assert [str(member.value) for member in used] == [member.name for member in used]


def test_agents_send_values_that_are_kept() -> None:
    """Each value in a frame is one of the database and of GraphQL."""
    assert set(get_args(Role)) == {role.value for role in tables.Role}
    assert set(get_args(Source)) < {source.value for source in tables.UtteranceSource}
    assert set(get_args(State)) == {state.name for state in enums.AgentState}
