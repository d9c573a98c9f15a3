"""The number of database statements that reads need."""

import asyncio

import pytest

from models import tables
from resolvers.backend import Backend
from resolvers.sessions.reaper import Reaper
from tests.queries import read_statements
from tests.schema.clients import Http
from tests.schema.every_field import start
from tests.schema.fakes import Agent

HISTORY = """
{
  sessionHistory(first: 100) {
    edges { cursor node { id title preview agentState failure { code } durationMs } }
    pageInfo { endCursor }
  }
}
"""


@pytest.fixture(autouse=True)
def no_reaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the reaper, whose statements would be counted; nothing is due here."""

    async def rest(_: Reaper) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Reaper, "run", rest)


@pytest.mark.sqlite
@pytest.mark.parametrize("count", [1, 12])
async def test_a_page_of_the_history_costs_the_same_however_long_it_is(
    guest: Http, spoken: tuple[str, Agent], count: int
) -> None:
    """It takes one statement for the login and one for the page."""
    session_id, _ = spoken
    one = await tables.Session.get(id=session_id)
    for index in range(count - 1):
        await tables.Session.create(
            user_id=one.user_id,
            agent_name="voxql",
            created_at=one.created_at,
            utterance_count=1,
            room_name=f"room-{index}",
        )

    async with read_statements() as statements:
        data = await guest.data(HISTORY)

    assert len(data["sessionHistory"]["edges"]) == count
    assert len(statements) == 2, statements


@pytest.mark.sqlite
@pytest.mark.parametrize(("what", "more"), [("cursor", 0), ("match { snippet }", 2)])
async def test_what_a_search_found_is_looked_for_when_it_is_shown(
    guest: Http, spoken: tuple[str, Agent], what: str, more: int
) -> None:
    """Finding conversations takes one statement; locating matches takes two per page."""
    edges = f"edges {{ {what} }}"
    query = f"query($f: SessionFilter) {{ sessionHistory(filter: $f) {{ {edges} }} }}"
    text = (await tables.Utterance.filter(session_id=spoken[0]).first().values("text"))["text"]

    async with read_statements() as statements:
        data = await guest.data(query, {"f": {"search": text}})
    # FTS5 also reads its own tables.
    ours = [one for one in statements if "data_version" not in one and "_config" not in one]

    assert len(data["sessionHistory"]["edges"]) == 1
    assert len(ours) == 2 + more, ours


@pytest.mark.sqlite
async def test_utterances_cost_one_statement_with_their_sessions_one_more(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """The statements are for the login, the session, the utterances and their session."""
    session_id, _ = spoken
    query = "query($id: ID!) { session(id: $id) { utterances { nodes { text %s } } } }"

    async with read_statements() as statements:
        await guest.data(query % "", {"id": session_id})
    assert len(statements) == 3, statements
    async with read_statements() as statements:
        await guest.data(query % "session { title }", {"id": session_id})
    assert len(statements) == 4, statements


@pytest.mark.sqlite
async def test_a_count_costs_only_when_it_is_asked_for(guest: Http) -> None:
    """`totalCount` is a separate statement."""
    await start(guest)

    async with read_statements() as without:
        await guest.data("{ sessionHistory { nodes { id } } }")
    async with read_statements() as with_count:
        await guest.data("{ sessionHistory { nodes { id } totalCount } }")

    assert len(with_count) == len(without) + 1


@pytest.mark.sqlite
async def test_transcripts_of_a_list_cost_the_same_however_long_it_is(
    guest: Http, spoken: tuple[str, Agent], backend: Backend
) -> None:
    """Two statements load all of their first pages, and one all of their counts."""
    for index in range(5):
        session_id = (await start(guest))["session"]["id"]
        agent = Agent(backend, session_id)
        await agent.come()
        await agent.say(f"This is chat {index}.")

    async with read_statements() as statements:
        data = await guest.data(
            "{ sessionHistory { nodes { utterances(first: 2) { nodes { text } totalCount } } } }"
        )

    found = [node["utterances"] for node in data["sessionHistory"]["nodes"]]
    assert [page["nodes"][0]["text"] for page in found] == [
        *(f"This is chat {index}." for index in (4, 3, 2, 1, 0)),
        "Is there any green tea?",
    ]
    assert [page["totalCount"] for page in found] == [1, 1, 1, 1, 1, 2]
    assert len(statements) == 5, statements


async def test_what_a_mutation_changed_is_read_anew(guest: Http, spoken: tuple[str, Agent]) -> None:
    """Nothing is cached from one root field to the next."""
    session_id, _ = spoken
    send = 'sendMessage(input: {sessionId: $id, key: "%s", text: "%s"})'
    fields = "{ utterance { session { preview utterances { nodes { text } } } } }"

    both = f"a: {send % ('a', 'one')} {fields} b: {send % ('b', 'two')} {fields}"
    data = await guest.data(f"mutation($id: ID!) {{ {both} }}", {"id": session_id})

    texts = [
        [node["text"] for node in data[name]["utterance"]["session"]["utterances"]["nodes"]][2:]
        for name in ("a", "b")
    ]
    assert texts == [["one"], ["one", "two"]]
