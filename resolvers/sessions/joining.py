"""Joins running conversations: media connections, and agents that are asked for again."""

from dataclasses import dataclass

from agent_bridge.media.backend import MediaConnection
from models.tables import Session, SessionStatus
from resolvers.access import owned_session, require
from resolvers.backend import Backend
from resolvers.refusals import AgentUnavailable, Conflict
from resolvers.sessions import lifecycle
from resolvers.sessions.dispatch import wanted
from resolvers.transcripts.transaction import Transaction
from resolvers.viewer import TokenScope, Viewer


@dataclass(frozen=True, slots=True)
class Joined:
    """A running session and a fresh media connection for it."""

    session: Session
    connection: MediaConnection


@dataclass(frozen=True, slots=True)
class Retried:
    """A session whose agent was requested again; no connection if that failed."""

    session: Session
    connection: MediaConnection | None


def connection_for(backend: Backend, viewer: Viewer, session: Session) -> MediaConnection:
    """Create a media connection for the person; it ends with the viewer's access."""
    return backend.media.connection(
        session.id, session.room_name, session.attempt, viewer.access_id
    )


async def join_session(backend: Backend, viewer: Viewer | None, session_id: str) -> Joined:
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
    return Joined(session, connection_for(backend, allowed, session))


async def retry_agent(backend: Backend, viewer: Viewer | None, session_id: str) -> Retried:
    """Request an agent again if there is none: after a failure, or when it was lost."""
    allowed = require(viewer, TokenScope.SESSIONS_WRITE)

    async def work(transaction: Transaction) -> Session:
        session = await owned_session(
            allowed, session_id, conn=transaction.conn, scope=TokenScope.SESSIONS_WRITE
        )
        transaction.adopt(session)
        has_agent = backend.connections.has_agent(session.id)
        is_lost = session.status is SessionStatus.ACTIVE and not has_agent
        if session.status is not SessionStatus.FAILED and not is_lost:
            raise Conflict(
                "This conversation has ended. Start another with startNewChat."
                if session.ended_at is not None
                else "The agent is already here, or about to join.",
                field=("sessionId",),
            )
        lifecycle.ask(session, transaction.now, backend.config)
        transaction.emit(wanted(session))
        return session

    session = await backend.dispatcher.asked(await backend.transactions.run(work))
    is_asked = session.status is not SessionStatus.FAILED
    return Retried(session, connection_for(backend, allowed, session) if is_asked else None)
