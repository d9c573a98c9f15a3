"""Every field of the interface, on what really happened."""

from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLObjectType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    is_introspection_type,
    parse,
    visit,
)

import models
from agent_bridge.workers import NoWorker
from resolvers import nodes
from resolvers.backend import Backend
from schema.executable import EXECUTABLE
from tests.schema.clients import Http, Socket
from tests.schema.fakes import Agent

SCHEMA = EXECUTABLE._schema

SESSION = """
fragment S on Session {
  id title status agentName agentState failure { code message isRetryable } createdAt startedAt
  endedAt endReason durationMs utteranceCount preview version transcriptCursor
  utterances(isFinal: true) { ...UC }
}
"""
ONE_UTTERANCE = """
fragment U on Utterance {
  id key revision role speaker source text isFinal isInterrupted position language confidence
  startedAt endedAt session { id }
}
"""
UTTERANCE = (
    ONE_UTTERANCE
    + """
fragment UC on UtteranceConnection {
  edges { cursor node { ...U } } nodes { id }
  pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
}
"""
)
ONE_TOKEN = "fragment T on ApiToken { id name scopes prefix createdAt lastUsedAt expiresAt }"
USER = (
    ONE_TOKEN
    + """
fragment A on User {
  id email isGuest createdAt
  apiTokens(first: 5) { edges { cursor node { ...T } } nodes { id } pageInfo { hasNextPage }
    totalCount }
}
"""
)
CONNECTION = "fragment C on MediaConnection { transport url token expiresAt roomName sampleRate }"
SAVED = """
fragment P on SaveSessionPayload {
  session { id } isSaved createdCount conflicts { index submittedText kept { id text } }
}
"""

QUERIES = {
    "history": "query($f: SessionFilter) { sessionHistory(filter: $f) { edges { cursor "
    "node { ...S } match { utterance { id } snippet } } nodes { id } pageInfo { endCursor } "
    "totalCount } }" + SESSION + UTTERANCE,
    "viewer": "{ viewer { ...A } }" + USER,
    "node": "query($id: ID!) { node(id: $id) { __typename id } }",
    "nodes": "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
    "session": "query($id: ID!) { session(id: $id) { ...S } }" + SESSION + UTTERANCE,
}
MUTATIONS = {
    "start": "mutation($i: StartNewChatInput! = {}) { startNewChat(input: $i) "
    "{ saved { ...P } session { id status } connection { ...C } } }" + SAVED + CONNECTION,
    "save": "mutation($i: SaveSessionInput!) { saveSession(input: $i) { ...P } }" + SAVED,
    "join": "mutation($i: JoinSessionInput!) { joinSession(input: $i) "
    "{ session { id } connection { ...C } } }" + CONNECTION,
    "retry": "mutation($i: RetryAgentInput!) { retryAgent(input: $i) "
    "{ session { id status } connection { ...C } } }" + CONNECTION,
    "send": "mutation($i: SendMessageInput!) { sendMessage(input: $i) { utterance { ...U } } }"
    + ONE_UTTERANCE,
    "rename": "mutation($i: RenameSessionInput!) { renameSession(input: $i) "
    "{ session { id title version } } }",
    "delete": "mutation($i: DeleteSessionInput!) { deleteSession(input: $i) { deletedSessionId } }",
    "sign up": "mutation($i: SignUpInput!) { signUp(input: $i) { viewer { email } } }",
    "sign in": "mutation($i: SignInInput!) { signIn(input: $i) { viewer { email } } }",
    "guest": "mutation { signInAsGuest { viewer { isGuest } } }",
    "sign out": "mutation { signOut { isSignedOut } }",
    "create token": "mutation($i: CreateApiTokenInput!) { createApiToken(input: $i) "
    "{ apiToken { ...T } secret } }" + ONE_TOKEN,
    "revoke token": "mutation($i: RevokeApiTokenInput!) { revokeApiToken(input: $i) "
    "{ revokedApiTokenId } }",
}
STREAMS = {
    "transcripts": "subscription($id: ID!) { transcripts(sessionId: $id) "
    "{ cursor utterances { ...U } isCaughtUp end { reason mayResume } } }" + ONE_UTTERANCE,
    "updates": "subscription($id: ID) { sessionUpdates(sessionId: $id) "
    "{ session { id status agentState title } deletedSessionId end { reason mayResume } } }",
}


class Selected(Visitor):
    """Collects which fields of which types documents select."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        parent = self.info.get_parent_type()
        if parent is not None:
            self.fields.add(f"{parent.name}.{node.name.value}")


def test_every_field_is_selected_by_a_test_here() -> None:
    """A field that is added to the interface is missed here until a test below resolves it."""
    info = TypeInfo(SCHEMA)
    selected = Selected(info)
    for query in [*QUERIES.values(), *MUTATIONS.values(), *STREAMS.values()]:
        visit(parse(query), TypeInfoVisitor(info, selected))
    there = {
        f"{name}.{field}"
        for name, kind in SCHEMA.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        for field in kind.fields
    }

    assert there - selected.fields == set()


async def start(client: Http, **given: Any) -> dict[str, Any]:
    data = await client.data(MUTATIONS["start"], {"i": given})
    started: dict[str, Any] = data["startNewChat"]
    return started


@pytest.fixture
async def spoken(guest: Http, backend: Backend) -> tuple[str, Agent]:
    """A chat in which a person and an agent have said something each."""
    session_id = (await start(guest, title="About tea"))["session"]["id"]
    agent = Agent(backend, session_id)
    await agent.come()
    await agent.say("Is there any green tea?", segment="SG_1")
    await agent.say("Yes, there is.", segment="SG_2", role="AGENT")
    return session_id, agent


async def test_a_session_and_its_utterances(
    guest: Http, spoken: tuple[str, Agent], backend: Backend
) -> None:
    """While it runs, with what the agent is doing."""
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
    assert first == {
        "key": "SG_1",
        "revision": 1,
        "role": "USER",
        "speaker": None,
        "source": "SPEECH",
        "text": "Is there any green tea?",
        "isFinal": True,
        "isInterrupted": False,
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
    """Forward after a cursor, backward before one, only the interim ones."""
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


async def test_saving_and_what_the_history_then_shows(
    guest: Http, spoken: tuple[str, Agent]
) -> None:
    """A message that lost is a conflict; the search marks the place."""
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
    """And comes with a connection of its own; the same key gives the same answer."""
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
    """Each with what it gives back."""
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
    """Its connection is null until its agent has been asked for again."""
    willing = backend.agents

    class NoAgents:
        def names(self) -> set[str]:
            return set()

        def free(self, agent_name: str) -> int:
            return 0

        def start(self, request: object) -> None:
            raise NoWorker("There is no agent. Start one.")

    backend.agents = NoAgents()
    started = await start(guest)
    session_id = started["session"]["id"]
    assert started["connection"] is None
    session = (await guest.data(QUERIES["session"], {"id": session_id}))["session"]
    assert session["status"] == "FAILED"
    failure = session["failure"]
    assert (failure["code"], failure["isRetryable"]) == ("AGENT_UNAVAILABLE", True)
    assert failure["message"]

    backend.agents = willing
    retried = await guest.data(MUTATIONS["retry"], {"i": {"sessionId": session_id}})

    assert retried["retryAgent"]["session"] == {"id": session_id, "status": "STARTING"}
    assert retried["retryAgent"]["connection"]["token"]


async def test_nodes_are_what_their_ids_say(
    guest: Http, stranger: Http, spoken: tuple[str, Agent]
) -> None:
    """All four kinds; null in the place of what is somebody else's or unknown."""
    session_id, _ = spoken
    user = (await guest.data(QUERIES["viewer"]))["viewer"]["id"]
    utterance = await models.Utterance.filter(session_id=session_id).first()
    assert utterance is not None
    data = await guest.data(
        MUTATIONS["create token"], {"i": {"name": "t", "scopes": ["SESSIONS_READ"]}}
    )
    token = data["createApiToken"]["apiToken"]["id"]
    mine = [user, session_id, utterance.id, token]

    kinds = ["User", "Session", "Utterance", "ApiToken"]
    wanted = [{"__typename": kind, "id": id_} for kind, id_ in zip(kinds, mine, strict=True)]
    assert (await guest.data(QUERIES["nodes"], {"ids": mine}))["nodes"] == wanted
    assert (await guest.data(QUERIES["node"], {"id": token}))["node"] == wanted[3]
    assert (await stranger.data(QUERIES["nodes"], {"ids": mine}))["nodes"] == [None] * 4


async def test_a_person_and_their_tokens(guest: Http) -> None:
    """From guest to account and back, with a token made, listed and revoked on the way."""
    account = {"email": "ann@tea.example", "password": "long enough"}
    signed_up = await guest.data(MUTATIONS["sign up"], {"i": account})
    assert signed_up == {"signUp": {"viewer": {"email": "ann@tea.example"}}}
    data = await guest.data(
        MUTATIONS["create token"],
        {
            "i": {
                "name": "robot",
                "scopes": ["SESSIONS_READ", "SESSIONS_DELETE"],
                "expiresAt": "2099-01-01T00:00:00+00:00",
            }
        },
    )
    made = data["createApiToken"]
    viewer = (await guest.data(QUERIES["viewer"]))["viewer"]
    [edge] = viewer["apiTokens"]["edges"]
    token = edge["node"]
    assert token == made["apiToken"]
    assert made["secret"].startswith(token["prefix"])
    assert token["scopes"] == ["SESSIONS_READ", "SESSIONS_DELETE"]
    assert (token["name"], token["lastUsedAt"]) == ("robot", None)
    assert token["expiresAt"] == "2099-01-01T00:00:00.000000Z"
    assert viewer["apiTokens"]["totalCount"] == 1
    assert viewer["apiTokens"]["pageInfo"] == {"hasNextPage": False}
    revoked = await guest.data(MUTATIONS["revoke token"], {"i": {"id": token["id"]}})
    assert revoked == {"revokeApiToken": {"revokedApiTokenId": token["id"]}}

    assert await guest.data(MUTATIONS["sign out"]) == {"signOut": {"isSignedOut": True}}
    assert (await guest.data(MUTATIONS["guest"]))["signInAsGuest"]["viewer"]["isGuest"] is True
    signed_in = await guest.data(
        MUTATIONS["sign in"], {"i": {**account, "claimGuestSessions": True}}
    )
    assert signed_in == {"signIn": {"viewer": {"email": "ann@tea.example"}}}


async def test_streams_give_what_queries_give(
    guest: Http, ws: Socket, spoken: tuple[str, Agent]
) -> None:
    """The same utterances, whether read from the database or heard just now."""
    session_id, agent = spoken
    await ws.subscribe(STREAMS["transcripts"], {"id": session_id}, id="t")
    replay = (await ws.next("t"))["transcripts"]
    read = (await guest.data(QUERIES["session"], {"id": session_id}))["session"]["utterances"]
    assert replay["utterances"] == [edge["node"] for edge in read["edges"]]
    assert (replay["isCaughtUp"], replay["end"]) == (False, None)
    assert (await ws.next("t"))["transcripts"]["isCaughtUp"] is True

    await agent.say("Thank you.", segment="SG_3")
    heard = (await ws.next("t"))["transcripts"]
    read = (await guest.data(QUERIES["session"], {"id": session_id}))["session"]["utterances"]
    assert heard["utterances"] == [read["edges"][2]["node"]]
    assert heard["cursor"] != replay["cursor"]


async def test_changes_of_sessions_are_told(
    guest: Http, ws: Socket, spoken: tuple[str, Agent]
) -> None:
    """Of one: as it is, then each change, what the agent does, and that it is gone."""
    session_id, agent = spoken
    await ws.subscribe(STREAMS["updates"], {"id": session_id}, id="one")
    first = (await ws.next("one"))["sessionUpdates"]
    assert (first["session"]["status"], first["session"]["title"]) == ("ACTIVE", "About tea")

    agent.state("THINKING")
    assert (await ws.next("one"))["sessionUpdates"]["session"]["agentState"] == "THINKING"
    await guest.data(MUTATIONS["delete"], {"i": {"sessionId": session_id}})
    assert (await ws.next("one"))["sessionUpdates"]["deletedSessionId"] == session_id
    last = (await ws.next("one"))["sessionUpdates"]
    assert last["end"] == {"reason": "SESSION_DELETED", "mayResume": False}


async def test_a_list_of_utterances_asks_for_their_session_once(
    guest: Http, spoken: tuple[str, Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once for each row."""
    session_id, _ = spoken
    asked: list[list[str]] = []
    ask = nodes.nodes

    async def counted(backend: Backend, viewer: Any, ids: list[str]) -> Any:
        asked.append(ids)
        return await ask(backend, viewer, ids)

    monkeypatch.setattr(nodes, "nodes", counted)
    await guest.data(QUERIES["session"], {"id": session_id})

    assert asked == [[session_id]]
