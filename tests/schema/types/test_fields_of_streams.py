"""Nodes, users and streams, field by field."""

from typing import Any

import pytest

from models import tables
from resolvers import nodes
from tests.schema.clients import Http, Socket
from tests.schema.every_field import MUTATIONS, QUERIES, STREAMS
from tests.schema.fakes import Agent


async def test_nodes_are_what_their_ids_say(
    guest: Http, stranger: Http, spoken: tuple[str, Agent]
) -> None:
    """All four kinds resolve; foreign and unknown ids are null."""
    session_id, _ = spoken
    user = (await guest.data(QUERIES["viewer"]))["viewer"]["id"]
    utterance = await tables.Utterance.filter(session_id=session_id).first()
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
    """A guest becomes an account, makes, lists and revokes a token, and signs in again."""
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
    """Utterances are the same whether read from the database or received live."""
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
    """A subscriber gets the session's state, each change, agent states, and the deletion."""
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
    """The query loads the session once, not once per row."""
    session_id, _ = spoken
    asked: list[list[str]] = []
    ask = nodes.nodes

    async def counted(viewer: Any, ids: list[str]) -> Any:
        asked.append(ids)
        return await ask(viewer, ids)

    monkeypatch.setattr(nodes, "nodes", counted)
    await guest.data(QUERIES["session"], {"id": session_id})

    assert asked == [[session_id]]
