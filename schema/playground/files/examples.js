"use strict";
// The tabs that a new visitor finds. They run in this order, with nothing to fill in.

const LATEST = "latest";
const NEW = "new";

const NOTE =
  '# The page fills in "' + LATEST + '" with the chat you started last' +
  ' and "' + NEW + '" with a new key.\n';

const EXAMPLES = [
  {
    query: `# Welcome to VoxQL. Go through the tabs from left to right and press ▶ (Ctrl-Enter) in each.
# What every type and field means is told under the book icon, top left.
# Programs use an API token instead: { "Authorization": "Bearer vox_…" } under Headers.

mutation SignInAsGuest {
  signInAsGuest {
    viewer {
      id
      isGuest
    }
  }
}
`,
  },
  {
    query: `# Begins a conversation and asks for the agent. To be heard, connect a microphone to the
# connection; to try it out, the fourth tab types.

mutation StartChat {
  startNewChat {
    session {
      id
      status
      agentName
      failure {
        message
      }
    }
    connection {
      transport
      url
      expiresAt
    }
  }
}
`,
  },
  {
    query: `# Leave this running: every word comes in while it is said or typed, until the chat ends.
${NOTE}
subscription Transcripts($sessionId: ID!) {
  transcripts(sessionId: $sessionId) {
    isCaughtUp
    utterances {
      role
      text
      isFinal
      revision
    }
    end {
      reason
    }
  }
}
`,
    variables: { sessionId: LATEST },
  },
  {
    query: `# Types a line to the agent. Its answer appears in the tab before.
${NOTE}
mutation SendMessage($sessionId: ID!, $key: String!, $text: String!) {
  sendMessage(input: { sessionId: $sessionId, key: $key, text: $text }) {
    utterance {
      id
      source
      position
    }
  }
}
`,
    variables: { sessionId: LATEST, key: NEW, text: "Hello, what time is it?" },
  },
  {
    query: `# Ends the chat and keeps it. Harmless to repeat.
${NOTE}
mutation Save($sessionId: ID!) {
  saveSession(input: { sessionId: $sessionId }) {
    isSaved
    session {
      status
      utteranceCount
    }
  }
}
`,
    variables: { sessionId: LATEST },
  },
  {
    query: `# Finds it again: all your conversations, newest first. Words in "search" narrow them down.

query History($search: String) {
  sessionHistory(first: 10, filter: { search: $search }) {
    totalCount
    edges {
      match {
        snippet
      }
      node {
        id
        title
        preview
        createdAt
        utterances(last: 3) {
          nodes {
            role
            text
          }
        }
      }
    }
  }
}
`,
    variables: { search: null },
  },
];
