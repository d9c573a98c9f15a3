"""Who can be heard: people come and leave, and a conversation without them waits for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from agent_bridge.media.backend import AccessEnded, Awaited, NotNow, SessionGone
from hub.events import access_topic, ownership_topic
from hub.subscription import Subscription
from models import Session, SessionStatus
from models.database import NotStored, reader
from models.ownership import moved_among
from models.running import RUNNING
from resolvers.backend import Backend
from resolvers.revocation import user_by_access
from resolvers.sessions import lifecycle
from resolvers.transcripts.transaction import Transaction

WAITING: Final = (SessionStatus.STARTING, SessionStatus.FAILED)
"""In which an agent may be waited for."""
AWAITED: Final = ("id", "attempt", "agent_name", "room_name", "status", "failure_code")
AT_ONCE: Final = 500
"""Names in one query: databases limit how many values one may have."""


class MediaEvents:
    """Receives join and leave events from the media backend: see `MediaListener` there."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @asynccontextmanager
    async def admitted(
        self, session_id: str, access: str, on_end: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Watch over a person's access; see `agent_bridge.media.backend.MediaListener`.

        Raises:
            AccessEnded: see there.
        """
        backend = self._backend
        user_id = await user_by_access(backend, access)
        if user_id is None:
            raise AccessEnded
        topics = (access_topic(access), ownership_topic(session_id, user_id))
        with backend.hub.subscribe(*topics) as subscription:
            # Once more: it may have ended before anybody listened for that.
            if await user_by_access(backend, access) != user_id:
                raise AccessEnded
            if await moved_among([(session_id, user_id)]):
                raise AccessEnded
            watching = asyncio.create_task(_first_of(subscription, on_end))
            try:
                yield
            finally:
                watching.cancel()

    async def person_came(self, session_id: str) -> None:
        """The person can be heard.

        Raises:
            SessionGone: the conversation is over.
            NotNow: the database takes nothing.
        """

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(session_id)
            if edit is None or edit.session.ended_at is not None:
                raise SessionGone
            edit.session.person_back_by = None

        connections = self._backend.connections
        # Before the transaction: an agent that gets ready right after it must find the person.
        connections.person_came(session_id)
        try:
            await self._backend.transactions.run(work)
        except SessionGone:
            connections.person_left(session_id)
            raise
        except NotStored as error:
            connections.person_left(session_id)
            raise NotNow from error

    async def person_left(self, session_id: str) -> None:
        """Nobody is there to be heard; the conversation waits for a while."""
        self._backend.connections.person_left(session_id)

        async def work(transaction: Transaction) -> None:
            edit = await transaction.edit(session_id)
            if edit is not None:
                lifecycle.person_left(edit.session, transaction.now, self._backend.config)

        try:
            await self._backend.transactions.run(work)
        except NotStored:
            self._backend.connections.leave_unnoted(session_id)

    async def rooms(self) -> dict[str, str]:
        """Return the session of every room in which a conversation goes on."""
        rows = (
            await Session.filter(status__in=RUNNING, deleted_at=None)
            .using_db(reader())
            .values_list("room_name", "id")
        )
        return {str(room): str(session_id) for room, session_id in rows}

    async def ended_among(self, rooms: Iterable[str]) -> set[str]:
        """Return which of these rooms were those of conversations that are over."""
        names = list(rooms)
        over: set[str] = set()
        for start in range(0, len(names), AT_ONCE):
            rows = (
                await Session.filter(room_name__in=names[start : start + AT_ONCE])
                .using_db(reader())
                .only("room_name", "status", "deleted_at")
            )
            over.update(row.room_name for row in rows if _is_over(row))
        return over

    async def awaited(self) -> list[Awaited]:
        """Return the agents that are waited for, those whose time is up included."""
        backend = self._backend
        waiting = Session.filter(status__in=WAITING, deleted_at=None).using_db(reader())
        is_asking = backend.dispatcher.is_asking
        return [
            Awaited(row.id, row.attempt, row.agent_name, row.room_name, is_asking(row.id))
            for row in await waiting.only(*AWAITED)
            if lifecycle.awaits_agent(row) and not backend.connections.has_agent(row.id)
        ]

    async def ask_anew(self, session_id: str, attempt: int) -> int | None:
        """Ask by a new attempt; see `agent_bridge.media.backend.MediaListener`.

        Raises:
            NotNow: the database takes nothing.
        """
        try:
            return await self._backend.dispatcher.ask_anew(session_id, attempt)
        except NotStored as error:
            raise NotNow from error


async def _first_of(subscription: Subscription, then: Callable[[], None]) -> None:
    """Wait for an event; these topics carry nothing but the end of an access."""
    await subscription.get()
    then()


def _is_over(session: Session) -> bool:
    return session.status is SessionStatus.ENDED or session.deleted_at is not None
