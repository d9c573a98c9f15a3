"use strict";
// The tabs that a new visitor finds. They run in this order, with nothing to fill in.

const LATEST = "latest";
const NEW = "new";

const NOTE = `# "${LATEST}" stands for the chat you started last,
# "${NEW}" for a key that was never used.
`;

const EXAMPLES = [
  {
    query: `# Welcome to VoxQL. Go through the tabs from left
# to right and press ▶ (Ctrl-Enter) in each.
# The book, top left, tells what everything means.
#
# Programs sign in with a token. Under Headers:
# { "Authorization": "Bearer vox_…" }

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
    query: `# Begins a conversation and asks for the agent.
# \`voxql talk\` and the app connect a microphone;
# here, the fourth tab types.

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
    query: `# Every word, while it is said or typed. It watches
# while this tab is in front: to type at the same
# time, open the playground in a second window.
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
    query: `# Types a line to the agent. Go back one tab for
# its answer.
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
    query: `# Finds it again: all your conversations, newest
# first. Words in "search" narrow them down.

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
