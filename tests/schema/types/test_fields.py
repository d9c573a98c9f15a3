"""Every field of a conversation, for real events."""

from typing import Any

from agent_bridge.server.workers import NoFreePlace
from resolvers.backend import Backend
from tests.resolvers.people import give_agents
from tests.schema.clients import Http
from tests.schema.every_field import MUTATIONS, QUERIES, start
from tests.schema.fakes import Agent


async def test_a_session_and_its_utterances(
    guest: Http, spoken: tuple[str, Agent], backend: Backend
) -> None:
    """A running session includes the agent's state."""
    session_id, agent = spoken
    agent.state("LISTENING")

    session = (await guest.data(QUERIES["session"], {"id": session_id}))["session"]

    utterances = session.pop("utterances")
    told = {name: session[name] for name in session if not name.endswith("At")}
    version = told.pop("version")
    cursor = told.pop("transcriptCursor")
    assert told == {
        "id": session_id,
        "title": "About tea",
        "status": "ACTIVE",
        "agentName": "voxql",
        "agentState": "LISTENING",
        "failure": None,
        "endReason": None,
        "durationMs": None,
        "utteranceCount": 2,
        "preview": "Is there any green tea?",
    }
    assert version > 1
    assert cursor
    assert session["createdAt"] <= session["startedAt"]
    assert session["endedAt"] is None
    assert utterances["totalCount"] == 2
    assert [edge["node"]["id"] for edge in utterances["edges"]] == [
        node["id"] for node in utterances["nodes"]
    ]
    first = utterances["edges"][0]["node"]
    times = {first.pop("startedAt"), first.pop("endedAt")}
    assert times
    assert first.pop("id").startswith("utt_")
    # A page of finals has its own cursors.
    assert first.pop("cursor") != utterances["edges"][0]["cursor"]
    assert first == {
        "key": "SG_1",
        "revision": 1,
        "role": "USER",
        "speaker": None,
        "source": "SPEECH",
        "text": "Is there any green tea?",
        "isFinal": True,
        "isInterrupted": False,
        "sortKey": "8000000001",
        "position": 1.0,
        "language": None,
        "confidence": None,
        "session": {"id": session_id},
    }
    info = utterances["pageInfo"]
    assert (info["hasNextPage"], info["hasPreviousPage"]) == (False, False)
    assert [info["startCursor"], info["endCursor"]] == [
        edge["cursor"] for edge in utterances["edges"]
    ]


async def test_utterances_are_paged_both_ways(guest: Http, spoken: tuple[str, Agent]) -> None:
    """Pages go forward after a cursor, backward before one, and can filter interim utterances."""
    session_id, agent = spoken
    await agent.say("And bl", segment="SG_3", final=False)
    query = (
        "query($id: ID!, $first: Int, $after: String, $last: Int, $before: String, $final: Boolean)"
        "{ session(id: $id) { utterances(first: $first, after: $after, last: $last, "
        "before: $before, isFinal: $final) { nodes { text } totalCount pageInfo { hasNextPage "
        "hasPreviousPage startCursor endCursor } } } }"
    )

    async def page(**given: Any) -> tuple[list[str], dict[str, Any]]:
        data = await guest.data(query, {"id": session_id, **given})
        found = data["session"]["utterances"]
        return [node["text"] for node in found["nodes"]], found["pageInfo"]

    texts, info = await page(first=1)
    assert (texts, info["hasNextPage"]) == (["Is there any green tea?"], True)
    assert (await page(first=2, after=info["endCursor"]))[0] == ["Yes, there is.", "And bl"]
    texts, info = await page(last=1)
    assert (texts, info["hasPreviousPage"]) == (["And bl"], True)
    assert (await page(last=1, before=info["startCursor"]))[0] == ["Yes, there is."]
    assert (await page(final=False))[0] == ["And bl"]
    assert (await page(final=None))[0] == ["Is there any green tea?", "Yes, there is.", "And bl"]


async def test_the_lines_that_a_search_finds_lead_to_those_around_them(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """Matches are marked and have the same cursors as utterances read by id."""
    session_id, _ = spoken
    edges = "edges { cursor marked node { id text cursor } }"
    query = (
        "query($id: ID!, $search: String, $first: Int, $after: String) { session(id: $id) {"
        " utterances(search: $search, first: $first, after: $after)"
        f" {{ totalCount {edges} }} }} }}"
    )

    data = await guest.data(query, {"id": session_id, "search": "green is"})
    found = data["session"]["utterances"]
    assert [edge["marked"] for edge in found["edges"]] == [
        "<mark>Is</mark> there any <mark>green</mark> tea?",
        "Yes, there <mark>is</mark>.",
    ]
    assert found["totalCount"] == 2
    edge = found["edges"][0]
    node = await guest.data(
        "query($id: ID!) { node(id: $id) { ... on Utterance { cursor } } }",
        {"id": edge["node"]["id"]},
    )
    assert edge["cursor"] == edge["node"]["cursor"] == node["node"]["cursor"]
    data = await guest.data(query, {"id": session_id, "first": 1, "after": edge["cursor"]})
    [after] = data["session"]["utterances"]["edges"]
    assert (after["node"]["text"], after["marked"]) == ("Yes, there is.", None)


async def test_saving_and_what_the_history_then_shows(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """A message that lost is a conflict; the search marks the match."""
    session_id, _ = spoken
    messages = [
        {"key": "SG_1", "role": "USER", "text": "any tea", "timestamp": 1_769_860_800_000},
        {"key": "mine", "role": "USER", "text": "Thank you", "timestamp": "2026-01-31T12:00:00Z"},
    ]

    data = await guest.data(
        MUTATIONS["save"], {"i": {"sessionId": session_id, "messages": messages}}
    )

    saved = data["saveSession"]
    [conflict] = saved.pop("conflicts")
    assert conflict.pop("kept")["text"] == "Is there any green tea?"
    assert conflict == {"index": 0, "submittedText": "any tea"}
    assert saved == {"session": {"id": session_id}, "isSaved": True, "createdCount": 1}

    found = await guest.data(
        QUERIES["history"],
        {
            "f": {
                "search": "gree",
                "status": ["ENDING", "ENDED"],
                "agentName": "voxql",
                "createdAt": {"from": "2020-01-01T00:00:00Z", "before": 4_000_000_000_000},
            }
        },
    )
    [edge] = found["sessionHistory"]["edges"]
    assert edge["node"]["endReason"] == "SAVED"
    assert edge["node"]["durationMs"] >= 0
    assert edge["node"]["utterances"]["totalCount"] == 3
    assert "green" in edge["match"]["snippet"]
    assert edge["match"]["utterance"]["id"].startswith("utt_")
    assert found["sessionHistory"]["totalCount"] == 1
    assert found["sessionHistory"]["pageInfo"]["endCursor"] == edge["cursor"]
    assert (await guest.data(QUERIES["history"]))["sessionHistory"]["edges"][0]["match"] is None
    other = await guest.data(QUERIES["history"], {"f": {"status": ["ACTIVE"]}})
    assert other["sessionHistory"]["nodes"] == []


async def test_the_next_chat_saves_the_previous(guest: Http, spoken: tuple[str, Agent]) -> None:
    """The new chat has its own connection; the same key gives the same answer."""
    session_id, _ = spoken

    first = await start(guest, previous={"sessionId": session_id}, idempotencyKey="once")
    again = await start(guest, previous={"sessionId": session_id}, idempotencyKey="once")

    assert first["saved"]["session"] == {"id": session_id}
    assert first["saved"]["isSaved"] is True
    assert first["session"]["id"] == again["session"]["id"] != session_id
    connection = first["connection"]
    assert connection["transport"] == "LOCAL"
    assert connection["url"].startswith("ws://127.0.0.1:")
    assert connection["token"]
    assert connection["expiresAt"].endswith("Z")
    assert (connection["roomName"], connection["sampleRate"]) == (None, 16_000)


async def test_a_running_session_is_joined_named_typed_into_and_deleted(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """Each mutation returns its result."""
    session_id, _ = spoken
    this = {"sessionId": session_id}

    joined = await guest.data(MUTATIONS["join"], {"i": this})
    assert joined["joinSession"]["session"] == {"id": session_id}
    assert joined["joinSession"]["connection"]["token"]
    renamed = await guest.data(MUTATIONS["rename"], {"i": {**this, "title": "Tea"}})
    assert renamed["renameSession"]["session"]["title"] == "Tea"
    sent = await guest.data(MUTATIONS["send"], {"i": {**this, "key": "k", "text": "Bye"}})
    typed = sent["sendMessage"]["utterance"]
    assert (typed["key"], typed["text"], typed["source"]) == ("k", "Bye", "TYPED")
    deleted = await guest.data(MUTATIONS["delete"], {"i": this})
    assert deleted == {"deleteSession": {"deletedSessionId": session_id}}
    assert await guest.code(QUERIES["session"], {"id": session_id}) == "NOT_FOUND"


async def test_a_failed_session_says_why_and_can_be_retried(guest: Http, backend: Backend) -> None:
    """Its connection is null until an agent is requested again."""
    willing = backend.agents

    class NoAgents:
        def knows(self, agent_name: str) -> bool:
            return False

        def free(self, agent_name: str) -> int:
            return 0

        async def start(self, request: object) -> None:
            raise NoFreePlace("There is no agent. Start one.")

    give_agents(backend, NoAgents())
    started = await start(guest)
    session_id = started["session"]["id"]
    assert started["connection"] is None
    session = (await guest.data(QUERIES["session"], {"id": session_id}))["session"]
    assert session["status"] == "FAILED"
    failure = session["failure"]
    assert (failure["code"], failure["isRetryable"]) == ("AGENT_UNAVAILABLE", True)
    assert failure["message"]

    give_agents(backend, willing)
    retried = await guest.data(MUTATIONS["retry"], {"i": {"sessionId": session_id}})

    assert retried["retryAgent"]["session"] == {"id": session_id, "status": "STARTING"}
    assert retried["retryAgent"]["connection"]["token"]
