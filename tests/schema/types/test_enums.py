"""Enumerations exist once for each side: GraphQL describes them, the others use their values."""

from enum import Enum
from typing import get_args

import pytest

import models
from agent_bridge.protocol import Role, Source, State
from resolvers.viewer import TokenScope
from schema import enums


@pytest.mark.parametrize(
    ("described", "used"),
    [
        (enums.SessionStatus, models.SessionStatus),
        (enums.EndReason, models.EndReason),
        (enums.Role, models.Role),
        (enums.UtteranceSource, models.UtteranceSource),
        (enums.TokenScope, TokenScope),
    ],
)
def test_graphql_has_the_members_that_are_used(described: type[Enum], used: type[Enum]) -> None:
    """In the same order."""
    assert [member.name for member in described] == [member.name for member in used]
    assert [str(member.value) for member in used] == [member.name for member in used]


def test_agents_send_values_that_are_kept() -> None:
    """Each value in a frame is one of the database and of GraphQL."""
    assert set(get_args(Role)) == {role.value for role in models.Role}
    assert set(get_args(Source)) < {source.value for source in models.UtteranceSource}
    assert set(get_args(State)) == {state.name for state in enums.AgentState}
