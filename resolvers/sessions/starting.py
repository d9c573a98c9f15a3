"""Starts conversations: the previous one is saved and the next begins, in one transaction.

It also requests an agent again for a conversation that has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

from agent_bridge.media.backend import MediaConnection
from models import ids
from models.repositories import accounts, bulk, sessions
from models.tables import Session, SessionStatus
from models.titles import NEW_CONVERSATION
from resolvers import idempotency, limits
from resolvers.access import check_id, owned_session, require
from resolvers.config import Config
from resolvers.refusals import BadUserInput, Conflict, NotFound, QuotaExceeded
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.sessions.dispatch import Agents, Dispatcher, wanted
from resolvers.sessions.joining import Media, connection_for
from resolvers.sessions.saving import (
    Message,
    MessageConflict,
    Saved,
    Saving,
    check_messages,
)
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import TokenScope, Viewer

RUNNING = (SessionStatus.STARTING, SessionStatus.ACTIVE, SessionStatus.FAILED)
"""Statuses that count as running; an ENDING session only waits for its last utterances."""


@dataclass(frozen=True, slots=True)
class Previous:
    """The conversation to save before the next one starts."""

    session_id: str
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class StartedChat:
    """A new conversation, and the result of saving the previous one."""

    saved: Saved | None
    session: Session
    connection: MediaConnection | None


@dataclass(frozen=True, slots=True)
class Retried:
    """A session whose agent was requested again; no connection if that failed."""

    session: Session
    connection: MediaConnection | None


@dataclass(frozen=True, slots=True)
class _Wish:
    """The request, checked."""

    previous: Previous | None
    title: str
    agent_name: str
    key: str | None
    request_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chats:
    """Starts conversations, and requests an agent again if there is none."""

    transactions: Transactions
    connections: Connections
    dispatcher: Dispatcher
    agents: Agents
    media: Media
    saving: Saving
    config: Config

    async def start_new_chat(
        self,
        viewer: Viewer | None,
        *,
        previous: Previous | None = None,
        title: str | None = None,
        agent_name: str | None = None,
        idempotency_key: str | None = None,
    ) -> StartedChat:
        """Save the previous conversation and start the next, all of it or nothing.

        The agent is requested without waiting for it to join. If the request fails, the new session
        is returned as FAILED, and what was saved stays saved.

        Raises:
            Refusal: See `save_session`; the same key with other input is a Conflict.
        """
        allowed = require(viewer, TokenScope.SESSIONS_WRITE)
        wish = await self._checked(previous, title, agent_name, idempotency_key)

        async def work(transaction: Transaction) -> tuple[Saved | None, Session, bool]:
            await accounts.lock(transaction.conn, allowed.user_id)
            told = await _tell_again(allowed, transaction, wish)
            if told is not None:
                return told
            saved = await self._save_previous(allowed, transaction, wish.previous)
            session = await self._create(allowed, transaction, wish)
            if wish.key is not None:
                await idempotency.record(
                    transaction.conn,
                    allowed.user_id,
                    wish.key,
                    wish.request_hash,
                    _outcome(saved, session),
                    transaction.now,
                )
            transaction.emit(wanted(session))
            return saved, session, True

        saved, session, is_new = await self.transactions.run(work)
        if is_new:
            session = await self.dispatcher.asked(session)
        is_reachable = session.status in (SessionStatus.STARTING, SessionStatus.ACTIVE)
        connection = connection_for(self.media, allowed, session) if is_reachable else None
        return StartedChat(saved, session, connection)

    async def retry_agent(self, viewer: Viewer | None, session_id: str) -> Retried:
        """Request an agent again if there is none: after a failure, or when it was lost."""
        allowed = require(viewer, TokenScope.SESSIONS_WRITE)

        async def work(transaction: Transaction) -> Session:
            session = await owned_session(
                allowed, session_id, conn=transaction.conn, scope=TokenScope.SESSIONS_WRITE
            )
            transaction.adopt(session)
            has_agent = self.connections.agent_is_there(session)
            is_lost = session.status is SessionStatus.ACTIVE and not has_agent
            if session.status is not SessionStatus.FAILED and not is_lost:
                raise Conflict(
                    "This conversation has ended. Start another with startNewChat."
                    if session.ended_at is not None
                    else "The agent is already here, or about to join.",
                    field=("sessionId",),
                )
            lifecycle.ask(session, transaction.now, self.config)
            transaction.emit(wanted(session))
            return session

        session = await self.dispatcher.asked(await self.transactions.run(work))
        is_asked = session.status is not SessionStatus.FAILED
        return Retried(session, connection_for(self.media, allowed, session) if is_asked else None)

    async def _checked(
        self,
        previous: Previous | None,
        title: str | None,
        agent_name: str | None,
        key: str | None,
    ) -> _Wish:
        if previous is not None:
            await check_messages(
                previous.messages, self.transactions.clock(), ("previous", "messages")
            )
        request_hash = ""
        if key is not None:
            limits.check_key(key, ("idempotencyKey",))
            request_hash = await idempotency.fingerprint(
                ["startNewChat", title, agent_name, previous and previous.session_id],
                previous.messages if previous is not None else (),
            )
        if title is not None:
            title = limits.check_title(title, ("title",))
        if agent_name is not None:
            limits.check_agent_name(agent_name, ("agentName",))
        return _Wish(
            previous,
            title or NEW_CONVERSATION,
            agent_name or self.config.agent_name,
            key,
            request_hash,
        )

    async def _save_previous(
        self, viewer: Viewer, transaction: Transaction, previous: Previous | None
    ) -> Saved | None:
        if previous is None:
            return None
        field = ("previous", "sessionId")
        check_id(previous.session_id, ids.SESSION, "a session", field)
        # The viewer deleted it, so this is no error.
        if await sessions.was_deleted(transaction.conn, viewer.user_id, previous.session_id):
            return None
        return await self.saving.save(
            viewer, transaction, previous.session_id, previous.messages, field
        )

    async def _create(self, viewer: Viewer, transaction: Transaction, wish: _Wish) -> Session:
        config = self.config
        # Of several processes, another one may have a worker for this agent.
        is_unknown = self.connections.is_sole and not self.agents.knows(wish.agent_name)
        if wish.agent_name != config.agent_name and is_unknown:
            raise BadUserInput(
                f"There is no agent called {wish.agent_name!r} here. Leave `agentName` out for the "
                "usual one.",
                field=("agentName",),
            )
        # Sessions that this transaction has just ended are not written yet.
        running = await sessions.count_active(
            transaction.conn, viewer.user_id, RUNNING, ignored=transaction.edits
        )
        if running >= config.running_sessions:
            raise QuotaExceeded(
                f"You already have {running} active conversations. End one before you start "
                "another."
            )
        session = Session(
            user_id=viewer.user_id,
            title=wish.title,
            agent_name=wish.agent_name,
            created_at=transaction.now,
            room_name=f"voxql-{uuid4().hex}",
        )
        lifecycle.ask(session, transaction.now, config)
        transaction.create(session)
        return session


def _outcome(saved: Saved | None, session: Session) -> dict[str, object]:
    told: dict[str, object] = {"session": session.id}
    if saved is not None:
        told["saved"] = {
            "session": saved.session.id,
            "is_saved": saved.is_saved,
            "created_count": saved.created_count,
            "conflicts": [[conflict.index, conflict.kept.id] for conflict in saved.conflicts],
        }
    return told


async def _tell_again(
    viewer: Viewer, transaction: Transaction, wish: _Wish
) -> tuple[Saved | None, Session, bool] | None:
    """Return the first response to this key again, with the sessions as they are now."""
    if wish.key is None:
        return None
    told = await idempotency.recall(
        transaction.conn, viewer.user_id, wish.key, wish.request_hash, transaction.now
    )
    if told is None:
        return None
    session = await owned_session(
        viewer,
        cast(str, told["session"]),
        conn=transaction.conn,
        scope=TokenScope.SESSIONS_WRITE,
        field=("idempotencyKey",),
    )
    saved = cast("dict[str, Any] | None", told.get("saved"))
    return await _saved_again(viewer, transaction, wish, saved), session, False


async def _saved_again(
    viewer: Viewer, transaction: Transaction, wish: _Wish, told: dict[str, Any] | None
) -> Saved | None:
    if told is None or wish.previous is None:
        return None
    try:
        session = await owned_session(
            viewer, told["session"], conn=transaction.conn, scope=TokenScope.SESSIONS_WRITE
        )
    except NotFound:
        return None
    kept = await bulk.with_ids(transaction.conn, [id_ for _, id_ in told["conflicts"]])
    # The submitted texts are those of the repeated request: its fingerprint is the same.
    conflicts = [
        MessageConflict(index, wish.previous.messages[index].text, kept[id_])
        for index, id_ in told["conflicts"]
        if id_ in kept
    ]
    return Saved(session, told["is_saved"], told["created_count"], conflicts)
