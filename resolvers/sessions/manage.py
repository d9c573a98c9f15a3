"""Reads, renames and deletes one conversation."""

from datetime import datetime
from typing import Final

from hub.events import (
    AgentCommanded,
    Gone,
    SessionDeleted,
    SessionOver,
    TranscriptEnded,
)
from models.database import Connection
from models.repositories import sessions
from models.repositories.transcript import delete_some
from models.tables import Session
from resolvers import limits
from resolvers.access import owned_session, require
from resolvers.sessions import lifecycle
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import TokenScope, Viewer

WORDS_AT_ONCE: Final = 5_000
"""Utterances deleted per transaction: a tenth of a second's work, with the search index."""


async def get_session(viewer: Viewer | None, session_id: str) -> Session:
    """Return one of the viewer's sessions."""
    return await owned_session(viewer, session_id, scope=TokenScope.SESSIONS_READ, field=("id",))


async def rename_session(
    transactions: Transactions, viewer: Viewer | None, session_id: str, title: str
) -> Session:
    """Change a session's title."""
    allowed = require(viewer, TokenScope.SESSIONS_WRITE)
    title = limits.check_title(title, ("title",))

    async def work(transaction: Transaction) -> Session:
        session = await owned_session(
            allowed, session_id, conn=transaction.conn, scope=TokenScope.SESSIONS_WRITE
        )
        transaction.adopt(session).session.title = title
        return session

    return await transactions.run(work)


async def delete_session(transactions: Transactions, viewer: Viewer | None, session_id: str) -> str:
    """Delete a session and all its utterances; what its agent still sends is refused.

    A tombstone stays until every token for the session has expired. If there are very many
    utterances, they become unreadable now, and the reaper deletes the rest.
    """
    allowed = require(viewer, TokenScope.SESSIONS_DELETE)

    async def work(transaction: Transaction) -> str:
        conn = transaction.conn
        session = await owned_session(
            allowed, session_id, conn=conn, scope=TokenScope.SESSIONS_DELETE
        )
        await bury(conn, session, transaction.now)
        await sessions.save(conn, session)
        tell_deleted(transaction, session)
        return session.id

    return await transactions.run(work)


async def bury(conn: Connection, session: Session, now: datetime) -> None:
    """Make the session a tombstone, for the caller to save, and delete a batch of utterances."""
    has_words = await delete_some(conn, session.id, WORDS_AT_ONCE)
    lifecycle.bury(session, now, has_words=has_words)


async def delete_more(conn: Connection, tombstone: Session) -> None:
    """Delete another batch of a tombstone's utterances; the caller saves the tombstone."""
    if tombstone.purge_by is not None and not await delete_some(conn, tombstone.id, WORDS_AT_ONCE):
        tombstone.purge_by = None


def tell_deleted(transaction: Transaction, session: Session) -> None:
    """Disconnect its agent and its person, and end the streams of it."""
    transaction.emit(SessionOver(session.id, session.room_name))
    transaction.emit(AgentCommanded(session.id, Gone()))
    transaction.emit(SessionDeleted(session.id, session.user_id))
    transaction.emit(TranscriptEnded(session.id, "SESSION_DELETED"))
