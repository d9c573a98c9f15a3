"""A token reads no words that its scopes don't allow, whatever path leads to the field."""

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType

from models.tables import Session
from resolvers.viewer import TokenScope
from schema.executable import EXECUTABLE
from schema.operations.documents import Documents
from schema.scopes import scope_of
from tests.schema.clients import Http

WORDS = {
    "SearchMatch": {"utterance", "snippet"},
    "Session": {"title", "preview", "utterances"},
    "TranscriptEvent": {"utterances"},
    "Utterance": {"speaker", "text"},
    "UtteranceEdge": {"marked"},
}
"""Fields that contain utterances or a conversation's title."""
NO_WORDS = {
    "AgentFailure": "code message isRetryable",
    "ApiToken": "id name scopes prefix createdAt lastUsedAt expiresAt",
    "ApiTokenConnection": "edges nodes pageInfo totalCount",
    "ApiTokenEdge": "cursor node",
    "AuthPayload": "viewer",
    "CreateApiTokenPayload": "apiToken secret",
    "DeleteSessionPayload": "deletedSessionId",
    "JoinSessionPayload": "session connection",
    "MediaAccess": "transport url token expiresAt roomName sampleRate",
    # A client's own submission.
    "MessageConflict": "index submittedText kept",
    "Node": "id",
    "PageInfo": "hasNextPage hasPreviousPage startCursor endCursor",
    "RenameSessionPayload": "session",
    "RetryAgentPayload": "session connection",
    "RevokeApiTokenPayload": "revokedApiTokenId",
    "SaveSessionPayload": "session isSaved createdCount conflicts",
    "SearchMatch": "",
    "SendMessagePayload": "utterance",
    "Session": "id status agentName createdAt startedAt endedAt endReason utteranceCount version "
    "agentState failure durationMs transcriptCursor",
    "SessionConnection": "pageInfo totalCount edges nodes",
    "SessionEdge": "cursor node match",
    "SessionUpdate": "session deletedSessionId end",
    "SignOutPayload": "isSignedOut",
    "StartNewChatPayload": "saved session connection",
    "StreamEnd": "reason mayResume",
    "TranscriptEvent": "cursor isCaughtUp end",
    "User": "id email isGuest createdAt apiTokens",
    "Utterance": "id key revision role source isFinal isInterrupted sortKey position language "
    "confidence startedAt endedAt cursor session",
    "UtteranceConnection": "edges nodes pageInfo totalCount",
    "UtteranceEdge": "cursor node",
}
"""Fields that need no scope of their own."""
ROOTS = {"Query", "Mutation", "Subscription"}
"""Their fields are use cases, which check scopes themselves."""
SESSION = "session { id ...Told }"
TOLD = " fragment Told on Session { said: preview }"


def test_every_field_says_whether_it_carries_words() -> None:
    """A new field must be classified here and where it is defined."""
    kinds = GraphQLObjectType | GraphQLInterfaceType
    schema = EXECUTABLE._schema
    told = {
        name: {field: scope_of(each) for field, each in kind.fields.items()}
        for name, kind in schema.type_map.items()
        if isinstance(kind, kinds) and not name.startswith("__") and name not in ROOTS
    }

    known = {
        name: {
            **dict.fromkeys(NO_WORDS[name].split()),
            **dict.fromkeys(WORDS.get(name, ()), TokenScope.SESSIONS_READ),
        }
        for name in NO_WORDS
    }
    assert told == known


async def writing(guest: Http) -> str:
    """Return the credential of a program that may only write."""
    made = await guest.data(
        'mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_WRITE]}) { secret } }'
    )
    return f"Bearer {made['createApiToken']['secret']}"


async def spoken(guest: Http) -> str:
    """Return the id of a conversation with a secret in it."""
    started = await guest.data("mutation { startNewChat { session { id } } }")
    session = str(started["startNewChat"]["session"]["id"])
    message = '{key: "a", role: USER, text: "a secret", timestamp: "2026-01-01T00:00:00Z"}'
    await guest.data(
        f'mutation {{ saveSession(input: {{sessionId: "{session}", messages: [{message}]}}) '
        "{ createdCount } }"
    )
    return session


RENAME = 'renameSession(input: {sessionId: "ID", title: "other"})'
SAVE = 'saveSession(input: {sessionId: "ID", messages: [MESSAGE]})'
START = 'startNewChat(input: {previous: {sessionId: "ID"}})'
TYPE = 'sendMessage(input: {sessionId: "ID", key: "k", text: "x"})'
NESTED = "{ session { utterances { edges { node { ... on Utterance { text } } } } } }"


@pytest.mark.parametrize(
    ("mutation", "field"),
    [
        (RENAME + " { session { preview } }", "preview"),
        (RENAME + " { " + SESSION + " }", "preview"),
        (RENAME + " { session { title } }", "title"),
        (SAVE + " { conflicts { kept { text } } }", "text"),
        (SAVE + NESTED, "utterances"),
        (START + " { saved { session { preview } } }", "preview"),
        ('joinSession(input: {sessionId: "ID"}) { session { preview } }', "preview"),
        ('retryAgent(input: {sessionId: "ID"}) { session { preview } }', "preview"),
        (TYPE + " { utterance { text } }", "text"),
    ],
)
async def test_a_token_that_may_only_write_reads_nothing(
    guest: Http, mutation: str, field: str
) -> None:
    """The operation is refused before it changes anything."""
    session = await spoken(guest)
    bearer = await writing(guest)
    before = await Session.get(id=session)
    count = await Session.all().count()
    message = '{key: "a", role: USER, text: "mine", timestamp: "2026-01-01T00:00:00Z"}'
    document = f"mutation {{ {mutation} }}".replace("ID", session).replace("MESSAGE", message)

    answer = await guest.post(
        document + (TOLD if "...Told" in document else ""), Authorization=bearer
    )

    assert answer.status_code == 403
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert f".{field} needs the scope SESSIONS_READ" in error["message"]
    assert "secret" not in answer.text
    after = await Session.get(id=session)
    assert (after.version, after.title) == (before.version, before.title)
    assert await Session.all().count() == count


async def test_what_carries_no_words_is_done(guest: Http) -> None:
    """The write scope is enough to save and to read the result."""
    session, bearer = await spoken(guest), await writing(guest)

    data = await guest.data(
        f'mutation {{ saveSession(input: {{sessionId: "{session}"}}) '
        "{ isSaved createdCount session { id status version } conflicts { index } } }",
        Authorization=bearer,
    )

    assert data["saveSession"]["isSaved"] is True


def test_a_fragment_that_is_not_used_needs_nothing() -> None:
    """Each operation of a document needs only its own scopes."""
    document = (
        "query A { viewer { id } } query B { ...F } fragment F on Query { ...G } "
        'fragment G on Query { node(id: "x") { ... on Session { preview } } }'
    )
    documents = Documents(EXECUTABLE._schema)

    assert documents.operation(document, "A").needs == {}
    assert documents.operation(document, "B").needs == {TokenScope.SESSIONS_READ: "Session.preview"}
