"""The enums of the schema, described for people who read them in the playground."""

from enum import Enum

import strawberry
from strawberry import enum_value


@strawberry.enum(description="Where a conversation is in its life.")
class SessionStatus(Enum):
    STARTING = enum_value("STARTING", description="The agent has been asked for.")
    ACTIVE = enum_value("ACTIVE", description="The agent is there and listens.")
    FAILED = enum_value(
        "FAILED",
        description="The agent did not come; `failure` says why, `retryAgent` tries again.",
    )
    ENDING = enum_value("ENDING", description="Saved; the agent hands in its last words.")
    ENDED = enum_value("ENDED", description="Over. A session never leaves this state.")


@strawberry.enum(description="What the agent is doing at this moment.")
class AgentState(Enum):
    INITIALIZING = enum_value("INITIALIZING", description="Connected, not ready yet.")
    LISTENING = enum_value("LISTENING", description="Hears you.")
    THINKING = enum_value("THINKING", description="Works on its answer.")
    SPEAKING = enum_value("SPEAKING", description="Talks; speak up to interrupt it.")


@strawberry.enum(description="Why a conversation ended.")
class EndReason(Enum):
    SAVED = enum_value("SAVED", description="The person saved it or began the next one.")
    AGENT_LEFT = enum_value("AGENT_LEFT", description="The agent said goodbye.")
    ABANDONED = enum_value("ABANDONED", description="The person or the agent stayed away.")
    START_FAILED = enum_value("START_FAILED", description="No agent came, and nobody retried.")


@strawberry.enum(description="Who said it.")
class Role(Enum):
    USER = enum_value("USER", description="The person.")
    AGENT = enum_value("AGENT", description="The voice agent.")


@strawberry.enum(description="How the server came to know of an utterance.")
class UtteranceSource(Enum):
    SPEECH = enum_value("SPEECH", description="Heard or spoken by the agent.")
    TYPED = enum_value(
        "TYPED", description="Typed by the person, with `sendMessage`; or written by the agent."
    )
    CLIENT_REPORTED = enum_value(
        "CLIENT_REPORTED", description="Only a client told of it, with `saveSession`."
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


@strawberry.enum(description="What an API token may be used for.")
class TokenScope(Enum):
    SESSIONS_READ = enum_value("SESSIONS_READ", description="Read and watch sessions.")
    SESSIONS_WRITE = enum_value(
        "SESSIONS_WRITE", description="Start, join, save and rename sessions, and type into them."
    )
    SESSIONS_DELETE = enum_value("SESSIONS_DELETE", description="Delete sessions.")
