"""Joins running conversations: gives people their media connections."""

from dataclasses import dataclass
from typing import Protocol

from agent_bridge.media.backend import MediaConnection
from models.tables import Session, SessionStatus
from resolvers.access import owned_session, require
from resolvers.refusals import AgentUnavailable, Conflict
from resolvers.viewer import TokenScope, Viewer


@dataclass(frozen=True, slots=True)
class Joined:
    """A running session and a fresh media connection for it."""

    session: Session
    connection: MediaConnection


class Media(Protocol):
    """The person's media connections; see `agent_bridge.media.backend.MediaBackend`."""

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Create a connection that is valid for this session only, and as long as this access."""


def connection_for(media: Media, viewer: Viewer, session: Session) -> MediaConnection:
    """Create a media connection for the person; it ends with the viewer's access."""
    return media.connection(session.id, session.room_name, session.attempt, viewer.access_id)


async def join_session(media: Media, viewer: Viewer | None, session_id: str) -> Joined:
    """Give the viewer a new media connection to a running session."""
    allowed = require(viewer, TokenScope.SESSIONS_WRITE)
    session = await owned_session(allowed, session_id, scope=TokenScope.SESSIONS_WRITE)
    if session.status is SessionStatus.FAILED:
        raise AgentUnavailable(
            "The agent isn't available. Ask for it again with retryAgent.", field=("sessionId",)
        )
    if session.ended_at is not None:
        raise Conflict(
            "This conversation has ended. Start another with startNewChat.",
            field=("sessionId",),
        )
    return Joined(session, connection_for(media, allowed, session))
