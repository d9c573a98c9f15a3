"""Handles people who join or leave a conversation; without them, it waits for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent_bridge.media.backend import AccessEnded, Awaited, NotNow, SessionGone
from hub.events import access_topic, ownership_topic
from hub.hub import Hub
from hub.subscription import HubSubscription
from models.database import NotStored, reader
from models.repositories import sessions
from models.repositories.ownership import moved_among
from resolvers.config import Config
from resolvers.revocation import user_by_access
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.sessions.dispatch import Dispatcher
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaEvents:
    """Receives join and leave events from the media backend: see `MediaListener` there."""

    transactions: Transactions
    hub: Hub
    connections: Connections
    dispatcher: Dispatcher
    config: Config

    @asynccontextmanager
    async def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Watch a person's access; see `agent_bridge.media.backend.MediaListener`.

        Raises:
            AccessEnded: The access had ended already.
        """
        user_id = await user_by_access(self.transactions.clock, access)
        if user_id is None:
            raise AccessEnded
        topics = (access_topic(access), ownership_topic(session_id, user_id))
        with self.hub.subscribe(*topics) as subscription:
            # Check again: the access may have ended before the subscription.
            if await user_by_access(self.transactions.clock, access) != user_id:
                raise AccessEnded
            if await moved_among([(session_id, user_id)]):
                raise AccessEnded
            watching = asyncio.create_task(_first_of(subscription, on_end))
            try:
                yield
            finally:
                watching.cancel()

    async def person_came(self, session_id: str) -> None:
        """Note that the person can be heard.

        Raises:
            SessionGone: The conversation is over.
            NotNow: The database is not writable.
        """

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(session_id)
            if edit is None or edit.session.ended_at is not None:
                raise SessionGone
            # The process that holds the conversation looks by itself.
            if not connections.is_elsewhere(edit.session.held_by):
                edit.session.person_back_by = None

        connections = self.connections
        # Before the transaction: an agent that becomes ready right after it must find the person.
        connections.person_came(session_id)
        try:
            await self.transactions.run(work)
        except SessionGone:
            connections.person_left(session_id)
            raise
        except NotStored as error:
            connections.person_left(session_id)
            raise NotNow from error

    async def person_left(self, session_id: str) -> None:
        """Note that the person can't be heard; the conversation waits for a while."""
        self.connections.person_left(session_id)

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(session_id)
            # A conversation that moved to another process is no longer watched by this one.
            if edit is not None and not self.connections.is_elsewhere(edit.session.held_by):
                lifecycle.person_left(edit.session, transaction.now, self.config)

        try:
            await self.transactions.run(work)
        except NotStored:
            self.connections.leave_unnoted(session_id)

    async def rooms(self) -> dict[str, str]:
        """Return the session ids of the conversations that this process watches, by room name.

        Each process watches those that it holds, and those that nobody holds yet.
        """
        return await sessions.rooms(reader(), except_held_by=self.connections.others)

    async def ended_among(self, rooms: Iterable[str]) -> set[str]:
        """Return which of these rooms belong to conversations that are over."""
        return await sessions.ended_rooms(reader(), list(rooms))

    async def awaited(self) -> list[Awaited]:
        """Return the agents that are awaited, including those whose time is up."""
        asking = self.dispatcher.asking()
        return [
            Awaited(
                row.id,
                row.attempt,
                row.agent_name,
                row.room_name,
                is_being_asked=row.id in asking,
                is_ours=self.connections.is_sole
                or self.connections.made_attempt(row.id, row.attempt),
            )
            for row in await sessions.without_agent(reader())
            if lifecycle.awaits_agent(row) and not self.connections.agent_is_there(row)
        ]

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        """Request an agent by a new attempt; see `agent_bridge.media.backend.MediaListener`.

        Raises:
            NotNow: The database is not writable.
        """
        try:
            return await self.dispatcher.ask_anew(session_id, attempt)
        except NotStored as error:
            raise NotNow from error


async def _first_of(subscription: HubSubscription, then: Callable[[], None]) -> None:
    """Call `then` on the first event; these topics only announce the end of an access."""
    await subscription.get()
    then()
