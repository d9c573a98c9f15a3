"""The GraphQL operations of a client."""

from typing import Final

_CONNECTION: Final = "connection { url token transport sampleRate }"

START: Final = f"""
mutation ($input: StartNewChatInput!) {{ startNewChat(input: $input) {{
  saved {{ isSaved createdCount session {{ id utteranceCount status }} conflicts {{ index }} }}
  session {{ id status failure {{ code message isRetryable }} }}
  {_CONNECTION}
}} }}"""
JOIN: Final = f"""
mutation ($input: JoinSessionInput!) {{ joinSession(input: $input) {{
  session {{ id status }}
  {_CONNECTION}
}} }}"""
SAVE: Final = """
mutation ($input: SaveSessionInput!) { saveSession(input: $input) {
  isSaved createdCount session { id status utteranceCount }
} }"""
SEND: Final = """
mutation ($input: SendMessageInput!) { sendMessage(input: $input) { utterance { key } } }"""
UTTERANCES: Final = """
query ($id: ID!) { session(id: $id) { status utterances(first: 500) { nodes {
  key revision role source text isFinal isInterrupted sortKey startedAt endedAt
} } } }"""
HISTORY: Final = """
{ sessionHistory(first: 10) { totalCount nodes { id status utteranceCount preview } } }"""
TRANSCRIPTS: Final = """
subscription ($id: ID!, $after: String) { transcripts(sessionId: $id, after: $after) {
  cursor isCaughtUp end { reason mayResume }
  utterances { key revision role source text isFinal isInterrupted sortKey startedAt }
} }"""
UPDATES: Final = """
subscription ($id: ID!) { sessionUpdates(sessionId: $id) {
  session { id status agentState failure { code message } } end { reason }
} }"""
