"""A second user gets nothing through any entry point of the schema."""

from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLNamedType, get_named_type

from models import tables
from resolvers.backend import Backend
from schema.executable import EXECUTABLE
from tests.dump import dump
from tests.schema.clients import Http, Socket
from tests.schema.fakes import Agent

SCHEMA = EXECUTABLE._schema

IN_PREVIOUS = (
    "mutation($id: ID!) { startNewChat(input: {previous: {sessionId: $id}}) { session { id } } }"
)
WAYS_IN = {
    "Query.node": "query($id: ID!) { node(id: $id) { id } }",
    "Query.nodes": "query($id: ID!) { nodes(ids: [$id]) { id } }",
    "Query.session": "query($id: ID!) { session(id: $id) { id utterances { nodes { text } } } }",
    "Mutation.startNewChat": IN_PREVIOUS,
    "Mutation.saveSession": "mutation($id: ID!) { saveSession(input: {sessionId: $id, messages: "
    '[{key: "k", role: USER, text: "t", timestamp: 1769860800000}]}) { session { id } } }',
    "Mutation.joinSession": "mutation($id: ID!) { joinSession(input: {sessionId: $id}) "
    "{ connection { token } } }",
    "Mutation.retryAgent": "mutation($id: ID!) { retryAgent(input: {sessionId: $id}) "
    "{ connection { token } } }",
    "Mutation.sendMessage": "mutation($id: ID!) { sendMessage(input: "
    '{sessionId: $id, key: "k", text: "t"}) { utterance { text } } }',
    "Mutation.renameSession": "mutation($id: ID!) { renameSession(input: "
    '{sessionId: $id, title: "mine now"}) { session { id } } }',
    "Mutation.deleteSession": "mutation($id: ID!) { deleteSession(input: {sessionId: $id}) "
    "{ deletedSessionId } }",
    "Mutation.revokeApiToken": "mutation($id: ID!) { revokeApiToken(input: {id: $id}) "
    "{ revokedApiTokenId } }",
    "Subscription.transcripts": "subscription($id: ID!) { transcripts(sessionId: $id) "
    "{ utterances { text } } }",
    "Subscription.sessionUpdates": "subscription($id: ID!) { sessionUpdates(sessionId: $id) "
    "{ session { id } } }",
}
REQUESTS = {way: query for way, query in WAYS_IN.items() if not way.startswith("Subscription")}
STREAMS = {way: query for way, query in WAYS_IN.items() if way.startswith("Subscription")}


def takes_an_id(kind: GraphQLNamedType, seen: frozenset[str] = frozenset()) -> bool:
    """Whether an input has an id anywhere in it."""
    if isinstance(kind, GraphQLInputObjectType) and kind.name not in seen:
        inner = [get_named_type(field.type) for field in kind.fields.values()]
        return any(takes_an_id(each, seen | {kind.name}) for each in inner)
    return kind.name == "ID"


def test_every_way_in_is_tried_here() -> None:
    """A root field that takes an id fails here until it is tried below."""
    roots = [SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type]
    there = {
        f"{root.name}.{name}"
        for root in roots
        if root is not None
        for name, field in root.fields.items()
        if any(takes_an_id(get_named_type(argument.type)) for argument in field.args.values())
    }

    assert there == set(WAYS_IN)


class Victim:
    """Another user's ids, of every kind."""

    def __init__(self, ids: dict[str, str]) -> None:
        self.ids = ids

    def id_for(self, way: str) -> str:
        return self.ids["token" if way.endswith("ApiToken") else "session"]


@pytest.fixture
async def victim(guest: Http, backend: Backend) -> Victim:
    data = await guest.data("mutation { startNewChat { session { id } } }")
    session = data["startNewChat"]["session"]["id"]
    agent = Agent(backend, session)
    await agent.come()
    await agent.say("a secret")
    data = await guest.data(
        'mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ]}) '
        "{ apiToken { id } } }"
    )
    utterance = await tables.Utterance.get()
    user = (await guest.data("{ viewer { id } }"))["viewer"]["id"]
    token = data["createApiToken"]["apiToken"]["id"]
    return Victim({"session": session, "token": token, "utterance": utterance.id, "user": user})


def nothing(answer: dict[str, Any]) -> bool:
    """Whether an answer has no data but nulls."""
    return all(value in (None, [None]) for value in (answer.get("data") or {}).values())


@pytest.mark.parametrize("way", REQUESTS)
async def test_somebody_else_gets_nothing_and_changes_nothing(
    victim: Victim, stranger: Http, way: str
) -> None:
    """The answer is an error or null, and every row of the database is unchanged."""
    before = await dump()

    answer = await stranger.answer(WAYS_IN[way], {"id": victim.id_for(way)})

    assert nothing(answer), answer
    codes = {error["extensions"]["code"] for error in answer.get("errors", ())}
    assert codes <= {"FORBIDDEN", "NOT_FOUND"}
    assert codes or way in ("Query.node", "Query.nodes")
    assert await dump() == before


@pytest.mark.parametrize("way", REQUESTS)
async def test_nobody_gets_nothing_and_changes_nothing(
    victim: Victim, client: Http, way: str
) -> None:
    """Anonymous callers get UNAUTHENTICATED, whatever the id is."""
    before = await dump()

    for id_ in (victim.id_for(way), "nonsense"):
        answer = await client.answer(WAYS_IN[way], {"id": id_})
        assert nothing(answer), answer
        [error] = answer["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert await dump() == before


@pytest.mark.parametrize("way", REQUESTS)
@pytest.mark.parametrize("id_", ["", "nonsense", "ses_", "usr_00000000000000000000000000", "\x00"])
async def test_what_is_no_id_is_bad_user_input(
    victim: Victim, guest: Http, way: str, id_: str
) -> None:
    """It applies to the owner too, and to ids of another kind unless the field takes all kinds."""
    if id_.startswith("usr_") and way in ("Query.node", "Query.nodes"):
        assert nothing(await guest.answer(WAYS_IN[way], {"id": id_}))
        return
    before = await dump()

    assert await guest.code(WAYS_IN[way], {"id": id_}) == "BAD_USER_INPUT"
    assert await dump() == before


async def test_nodes_of_every_kind_are_null_to_somebody_else(
    victim: Victim, stranger: Http
) -> None:
    """The user, the session, the utterance and the token are null."""
    data = await stranger.data(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": list(victim.ids.values())}
    )

    assert data == {"nodes": [None] * 4}


async def test_lists_show_what_is_ones_own(victim: Victim, stranger: Http) -> None:
    """The history, search and tokens show none of another user's data."""
    data = await stranger.data(
        '{ sessionHistory(filter: {search: "secret"}) { totalCount } '
        "all: sessionHistory { totalCount nodes { id } } "
        "viewer { apiTokens { totalCount nodes { id } } } }"
    )

    assert data["sessionHistory"] == {"totalCount": 0}
    assert data["all"] == {"totalCount": 0, "nodes": []}
    assert data["viewer"]["apiTokens"] == {"totalCount": 0, "nodes": []}


@pytest.mark.parametrize("way", STREAMS)
async def test_somebody_elses_words_can_not_be_watched(
    victim: Victim, stranger: Http, url: str, way: str
) -> None:
    """An error comes before the first event; anonymous viewers get UNAUTHENTICATED."""
    for cookie, code in ((stranger.cookie, "FORBIDDEN"), (None, "UNAUTHENTICATED")):
        async with Socket(url, cookie=cookie) as ws:
            await ws.init()
            await ws.subscribe(WAYS_IN[way], {"id": victim.id_for(way)})
            assert (await ws.error())["extensions"]["code"] == code


async def test_all_of_ones_sessions_are_ones_own(
    victim: Victim, guest: Http, stranger: Http, url: str
) -> None:
    """Changes to another user's sessions are not sent: the first event is the viewer's own."""
    async with Socket(url, cookie=stranger.cookie) as ws:
        await ws.init()
        await ws.subscribe("subscription { sessionUpdates { session { title } } }")
        await ws.next()
        await guest.data(
            'mutation($id: ID!) { renameSession(input: {sessionId: $id, title: "theirs"}) '
            "{ session { id } } }",
            {"id": victim.ids["session"]},
        )
        await stranger.data('mutation { startNewChat(input: {title: "mine"}) { session { id } } }')
        assert (await ws.next())["sessionUpdates"]["session"] == {"title": "mine"}
