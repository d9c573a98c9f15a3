"""Saves a conversation: merges the client's messages with the server's, and ends it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.events import AgentCommanded, Stop
from models.tables import EndReason, Role, Session, Utterance, UtteranceSource
from models.turns import Turns
from resolvers import limits
from resolvers.access import owned_session, require
from resolvers.config import Config
from resolvers.refusals import BadUserInput
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.transcripts.edit import SessionEdit
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.ordering import place_missing
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.viewer import TokenScope, Viewer

BESIDE: Final = 500
"""Beyond this many messages, their places are found in a thread: that can't be cut into turns."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the client shows it."""

    key: str
    role: Role
    text: str
    timestamp: datetime
    is_final: bool = True


@dataclass(frozen=True, slots=True)
class MessageConflict:
    """A message whose text lost to the text that the server keeps under its key."""

    index: int
    submitted_text: str
    kept: Utterance


@dataclass(frozen=True, slots=True)
class Saved:
    """The result of saving."""

    session: Session
    is_saved: bool
    """False for a conversation in which nothing was said."""
    created_count: int
    conflicts: list[MessageConflict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Saves conversations."""

    transactions: Transactions
    connections: Connections
    config: Config

    async def save_session(
        self, viewer: Viewer | None, session_id: str, messages: Sequence[Message]
    ) -> Saved:
        """Merge the messages, end the conversation, and store everything; harmless when repeated.

        Raises:
            Refusal: The viewer is signed out, the session is unknown or somebody else's, or a
                message is invalid; nothing is written then.
        """
        allowed = require(viewer, TokenScope.SESSIONS_WRITE)
        await check_messages(messages, self.transactions.clock(), ("messages",))

        async def work(transaction: Transaction) -> Saved:
            return await self.save(allowed, transaction, session_id, messages)

        return await self.transactions.run(work)

    async def save(
        self,
        viewer: Viewer,
        transaction: Transaction,
        session_id: str,
        messages: Sequence[Message],
        field: limits.Field = ("sessionId",),
    ) -> Saved:
        """Do what `save_session` does, inside a transaction; the messages must have been checked.

        `field` is the path to the session's id in the input, for refusals.
        """
        session = await owned_session(
            viewer,
            session_id,
            conn=transaction.conn,
            scope=TokenScope.SESSIONS_WRITE,
            field=field,
        )
        edit = transaction.adopt(session)
        # The bridge's pending changes come first: they have more authority, and are older.
        await transaction.flush(edit)
        created_before = edit.created_count
        await _merge(edit, messages)
        rows = await edit.load(())
        conflicts = [
            MessageConflict(index, message.text, rows[message.key])
            async for index, message in Turns().of(enumerate(messages))
            if rows[message.key].text != message.text
        ]
        lifecycle.end(
            session,
            EndReason.SAVED,
            transaction.now,
            self.config,
            may_write=self.connections.may_report(session, transaction.now, self.config),
        )
        stop_agent(transaction, session)
        created = edit.created_count - created_before
        is_saved = session.utterance_count + edit.created_count > 0
        return Saved(session, is_saved, created, conflicts)


async def check_messages(
    messages: Sequence[Message], now: datetime, field: tuple[str | int, ...]
) -> None:
    """Refuse messages that can't be stored, naming the index and field at fault."""
    if len(messages) > limits.MESSAGES:
        raise BadUserInput(
            f"At most {limits.MESSAGES:,} messages can be saved at once, not {len(messages):,}. "
            "Save the first part, then the rest.",
            field=field,
        )
    seen: dict[str, int] = {}
    async for index, message in Turns().of(enumerate(messages)):
        here = (*field, index)
        limits.check_key(message.key, (*here, "key"))
        limits.check_text(message.text, (*here, "text"))
        limits.check_timestamp(message.timestamp, now, (*here, "timestamp"))
        first = seen.setdefault(message.key, index)
        if first != index:
            raise BadUserInput(
                f"Messages {first} and {index} have the same key; every message needs its own.",
                field=(*here, "key"),
            )


async def _merge(edit: SessionEdit, messages: Sequence[Message]) -> None:
    turns = Turns()
    rows = await edit.load(message.key for message in messages)
    known = {key: row.sort_key async for key, row in turns.of(rows.items())}
    keys = [message.key for message in messages]
    missing = [key for key in keys if key not in known]
    placed: dict[str, str] = {}
    if missing:
        there = await edit.sort_keys()
        placed = (
            place_missing(known, there, keys)
            if len(keys) + len(there) <= BESIDE
            else await asyncio.to_thread(place_missing, known, there, keys)
        )
    async for message in turns.of(messages):
        await edit.merge(_change(message), placed.get(message.key))


def _change(message: Message) -> UtteranceChange:
    return UtteranceChange(
        role=message.role,
        source=UtteranceSource.CLIENT_REPORTED,
        text=message.text,
        is_final=message.is_final,
        started_at=message.timestamp,
        key=message.key,
    )


def stop_agent(transaction: Transaction, session: Session) -> None:
    """Tell an ended session's agent to finish, wherever it is connected."""
    if session.end_reason is not None:
        transaction.emit(AgentCommanded(session.id, Stop(session.end_reason.value)))
