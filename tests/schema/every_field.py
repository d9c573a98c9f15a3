"""Operations that together select every field of the schema."""

from typing import Any

from tests.schema.clients import Http

SESSION = """
fragment S on Session {
  id title status agentName agentState failure { code message isRetryable } createdAt startedAt
  endedAt endReason durationMs utteranceCount preview version transcriptCursor
  utterances(first: 10, isFinal: true) { ...UC }
}
"""
ONE_UTTERANCE = """
fragment U on Utterance {
  id key revision role speaker source text isFinal isInterrupted sortKey position language
  confidence startedAt endedAt cursor session { id }
}
"""
UTTERANCE = (
    ONE_UTTERANCE
    + """
fragment UC on UtteranceConnection {
  edges { cursor marked node { ...U } } nodes { id }
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
CONNECTION = "fragment C on MediaAccess { transport url token expiresAt roomName sampleRate }"
SAVED = """
fragment P on SaveSessionPayload {
  session { id } isSaved createdCount conflicts { index submittedText kept { id text } }
}
"""

QUERIES = {
    "history": "query($f: SessionFilter) { sessionHistory(first: 10, filter: $f) { edges { cursor "
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


async def start(client: Http, **given: Any) -> dict[str, Any]:
    """Start a chat and return its whole payload."""
    data = await client.data(MUTATIONS["start"], {"i": given})
    started: dict[str, Any] = data["startNewChat"]
    return started
