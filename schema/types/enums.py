"""The enums of the schema, described for people who read them in the playground."""

from enum import Enum, EnumMeta

import strawberry
from strawberry import enum_value
from strawberry.types.enum import has_enum_definition

from models.tables import EndReason, Role, SessionStatus, UtteranceSource
from resolvers.viewer import TokenScope

__all__ = [
    "AgentState",
    "EndReason",
    "MediaTransport",
    "Role",
    "SessionStatus",
    "StreamEndReason",
    "TokenScope",
    "UtteranceSource",
]


def _describe(enum: EnumMeta, description: str, **values: str) -> None:
    """Show an enum of the use cases in the schema, with a description of each value."""
    shown = strawberry.enum(enum, description=description)
    assert has_enum_definition(shown)
    # `enum_value` works only where the enum is defined, and the use cases do not know GraphQL.
    for value in shown.__strawberry_definition__.values:
        value.description = values[value.name]


_describe(
    SessionStatus,
    "Where a conversation is in its life.",
    STARTING="The agent has been asked for.",
    ACTIVE="The agent is there and listens.",
    FAILED="The agent did not come; `failure` says why, `retryAgent` tries again.",
    ENDING="Saved; the agent hands in its last words.",
    ENDED="Over. A session never leaves this state.",
)


@strawberry.enum(description="What the agent is doing at this moment.")
class AgentState(Enum):
    INITIALIZING = enum_value("INITIALIZING", description="Connected, not ready yet.")
    LISTENING = enum_value("LISTENING", description="Hears you.")
    THINKING = enum_value("THINKING", description="Works on its answer.")
    SPEAKING = enum_value("SPEAKING", description="Talks; speak up to interrupt it.")


_describe(
    EndReason,
    "Why a conversation ended.",
    SAVED="The person saved it or began the next one.",
    AGENT_LEFT="The agent said goodbye.",
    ABANDONED="The person or the agent stayed away.",
    START_FAILED="No agent came, and nobody retried.",
)
_describe(Role, "Who said it.", USER="The person.", AGENT="The voice agent.")
_describe(
    UtteranceSource,
    "How the server came to know of an utterance.",
    SPEECH="Heard or spoken by the agent.",
    TYPED="Typed by the person, with `sendMessage`; or written by the agent.",
    CLIENT_REPORTED="Only a client told of it, with `saveSession`.",
)


@strawberry.enum(description="How the sound travels.")
class MediaTransport(Enum):
    LOCAL = enum_value("LOCAL", description="PCM over a WebSocket of this server.")
    LIVEKIT = enum_value("LIVEKIT", description="A LiveKit room.")


@strawberry.enum(description="Why a stream ended.")
class StreamEndReason(Enum):
    SESSION_ENDED = enum_value("SESSION_ENDED", description="Nothing more will come.")
    SESSION_DELETED = enum_value("SESSION_DELETED", description="The session is gone.")
    ACCESS_REVOKED = enum_value(
        "ACCESS_REVOKED", description="You were signed out, or your token expired or was revoked."
    )
    READER_TOO_SLOW = enum_value(
        "READER_TOO_SLOW", description="More was waiting than is kept; come back after your cursor."
    )
    SERVER_SHUTDOWN = enum_value(
        "SERVER_SHUTDOWN", description="The server restarts; come back after your cursor."
    )


_describe(
    TokenScope,
    "What an API token may be used for.",
    SESSIONS_READ="Read and watch sessions.",
    SESSIONS_WRITE="Start, join, save and rename sessions, and type into them.",
    SESSIONS_DELETE="Delete sessions.",
)
