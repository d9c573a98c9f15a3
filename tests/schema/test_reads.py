"""What reading costs the database."""

import pytest

import models
from tests.queries import read_statements
from tests.schema.clients import Http
from tests.schema.fakes import Agent
from tests.schema.operations import start

HISTORY = """
{
  sessionHistory(first: 100) {
    edges { cursor node { id title preview agentState failure { code } durationMs } }
    pageInfo { endCursor }
  }
}
"""


@pytest.mark.parametrize("count", [1, 12])
async def test_a_page_of_the_history_costs_the_same_however_long_it_is(
    guest: Http, spoken: tuple[str, Agent], count: int
) -> None:
    """One statement for the login, one for the places, one for the sessions at them."""
    session_id, _ = spoken
    one = await models.Session.get(id=session_id)
    for index in range(count - 1):
        await models.Session.create(
            user_id=one.user_id,
            agent_name="voxql",
            created_at=one.created_at,
            utterance_count=1,
            room_name=f"room-{index}",
        )

    async with read_statements() as statements:
        data = await guest.data(HISTORY)

    assert len(data["sessionHistory"]["edges"]) == count
    assert len(statements) == 3, statements


async def test_utterances_cost_one_statement_with_their_sessions_one_more(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """Login, session, utterances, and the utterances' session, loaded together."""
    session_id, _ = spoken
    query = "query($id: ID!) { session(id: $id) { utterances { nodes { text %s } } } }"

    async with read_statements() as statements:
        await guest.data(query % "", {"id": session_id})
    assert len(statements) == 3, statements
    async with read_statements() as statements:
        await guest.data(query % "session { title }", {"id": session_id})
    assert len(statements) == 4, statements


async def test_a_count_costs_only_when_it_is_asked_for(guest: Http) -> None:
    """`totalCount` is a statement of its own."""
    await start(guest)

    async with read_statements() as without:
        await guest.data("{ sessionHistory { nodes { id } } }")
    async with read_statements() as with_count:
        await guest.data("{ sessionHistory { nodes { id } totalCount } }")

    assert len(with_count) == len(without) + 1
