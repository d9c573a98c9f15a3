"""The reaper acts on passed deadlines, whichever process set them, also after a restart."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from hub.events import (
    ACCESS_PREFIX,
    OWNERSHIP_PREFIX,
    AccessRevoked,
    OwnershipLost,
    transcripts_topic,
    watched_access,
    watched_ownership,
)
from hub.hub import Hub
from models.database import NotAvailable, NotStored, reader
from models.repositories import idempotency, sessions
from models.repositories.deadlines import agents_to_request, buried_with_words, past_deadline
from models.repositories.ownership import delete_unreachable, moved_among
from models.tables import EndReason, Session, SessionStatus
from resolvers.config import Config
from resolvers.idempotency import KEPT_FOR
from resolvers.members import GONE_AFTER_S, Members
from resolvers.metrics import Metrics
from resolvers.revocation import delete_expired_logins, revoked_among
from resolvers.sessions import lifecycle
from resolvers.sessions.connections import Connections
from resolvers.sessions.dispatch import Agents, Dispatcher, wanted
from resolvers.sessions.manage import delete_more, tell_deleted
from resolvers.sessions.saving import stop_agent
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions

log = structlog.get_logger(__name__)

EVERY_S: Final = 0.25
TIDY_EVERY: Final = timedelta(minutes=10)
LOOK_ROUND_EVERY: Final = timedelta(seconds=1)
ORPHANS_EVERY: Final = timedelta(minutes=1)
"""Between two searches for sessions that are held by no living process, if none has died."""
TOMBSTONE_FOR: Final = timedelta(hours=25)
"""Longer than a bridge token is valid: a late agent still learns that the session is gone."""
BEFORE_THE_RESTART: Final = "before the restart"
"""Stands for the id of a connection to the process before the restart."""
BATCH: Final = 200
"""Sessions handled per round."""


@dataclass(slots=True, kw_only=True)
class Reaper:
    """Watches the deadlines of every session."""

    transactions: Transactions
    hub: Hub
    connections: Connections
    members: Members
    dispatcher: Dispatcher
    agents: Agents
    metrics: Metrics
    config: Config
    _tidy_at: datetime = field(init=False)
    _look_round_at: datetime = field(init=False)
    _orphans_at: datetime = field(init=False)
    _trouble: str | None = field(init=False, default=None)
    """What kept the newest round from reading the database."""

    def __post_init__(self) -> None:
        """Let the first round tidy up."""
        self._tidy_at = self._look_round_at = now = self.transactions.clock()
        # By then, every other process that is alive has been seen.
        self._orphans_at = now + timedelta(seconds=2 * GONE_AFTER_S)

    async def recover(self) -> int:
        """Take over every session that was running when the last process ended; return how many.

        Unfinished utterances are committed again, above every revision that anybody may hold, and
        the deadlines for absent agents and people are set. A session that was STARTING goes on
        starting.

        One of several processes takes over nothing at its start: see `_adopt_orphans`.
        """
        if not self.members.is_sole:
            return 0
        self.dispatcher.expect_workers()
        running = await sessions.unfinished(reader())
        for session_id in running:
            await self.transactions.run(partial(self._take_over, session_id))
        return len(running)

    async def _adopt_orphans(self) -> None:
        """Take over the sessions that were held by processes which are gone."""
        alive = self.members.others | {self.members.me}
        orphans = await sessions.held_by_others(reader(), alive)
        adopted = 0
        for session_id in orphans:
            try:
                adopted += await self.transactions.run(partial(self._adopt, session_id))
            except (NotStored, NotAvailable):
                raise
            except Exception:  # one faulty session must not hold up the others
                log.exception("session_not_taken_over", session=session_id)
        if adopted:
            log.info("sessions_taken_over", sessions=adopted)
        if adopted == len(orphans):
            self._orphans_at = self.transactions.clock() + ORPHANS_EVERY

    async def _adopt(self, session_id: str, transaction: Transaction) -> bool:
        """Take over a session; return whether it is settled, here or by another process."""
        if not await sessions.claim(transaction.conn, session_id):
            return False
        # Under the row's lock: another process may have taken it over, or its agent may be back.
        edit = await transaction.edit(session_id)
        holder = None if edit is None else edit.session.held_by
        if holder not in (None, self.members.me) and not self.members.is_other(holder):
            await self._take_over(session_id, transaction)
        return True

    async def _take_over(self, session_id: str, transaction: Transaction) -> None:
        edit = await transaction.edit(session_id)
        if edit is None:
            return
        await edit.recommit_unfinished()
        # Nobody knows whether its agent had reported everything.
        session, connections = edit.session, self.connections
        session.held_by = self.members.me
        connections.note_gone(session, transaction)
        connections.came_before(session.id, session.attempt, BEFORE_THE_RESTART)
        connections.lost(session.id, session.attempt, BEFORE_THE_RESTART, transaction.now)
        lifecycle.go_on_starting(session, transaction.now, self.config)
        lifecycle.agent_lost(session, transaction.now, self.config)
        # Whether the person is there is known once this process has looked.
        if not connections.has_person(session.id):
            lifecycle.person_left(session, transaction.now, self.config)

    async def run(self) -> None:
        """Check for passed deadlines repeatedly, while the server lives."""
        while True:
            # This runs four times a second: trouble with the database is logged once.
            trouble = None
            try:
                await self.look()
            except NotStored:
                pass  # already logged
            except NotAvailable as error:
                trouble = error.trouble
            except Exception:  # a full disk now must not stop later rounds
                log.exception("reaper_failed")
            self._note_trouble(trouble)
            await asyncio.sleep(EVERY_S)

    def _note_trouble(self, trouble: str | None) -> None:
        """Log what keeps the database from being read, if that has changed."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is None:
            log.info("database_reached_again")
        else:
            log.error("database_not_reached", trouble=trouble)

    async def asked(self) -> None:
        """Wait until every agent that was found missing has been requested."""
        await self.dispatcher.settled()

    async def look(self) -> None:
        """Act on everything that is due now."""
        now = self.transactions.clock()
        await self._look_round(now)
        # Delete one batch of utterances per round, after everything that somebody waits for.
        due = [
            *await past_deadline(
                reader(), now, BATCH, full=await self._full(now), others=self.members.others
            ),
            *await buried_with_words(reader(), now, 1),
        ]
        # Before any write: a full disk must not keep a stream open whose viewer lost access. After
        # the query: viewers whose account was deleted learn that their access ended.
        await self._end_revoked_access()
        for session_id in due:
            try:
                await self._act(session_id)
            except (NotStored, NotAvailable):
                raise
            except Exception:  # one faulty session must not hold up the others
                log.exception("reaper_failed", session=session_id)
        await self._note_absences()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_EVERY
            await self._tidy(now)

    async def _full(self, now: datetime) -> list[str]:
        """Return the agents that only another process may have a worker for.

        However many sessions wait for one, they must not fill the batch.
        """
        if not self.hub.is_shared:
            return []
        names = await agents_to_request(reader(), now)
        return [name for name in names if self.agents.free(name) == 0]

    async def _look_round(self, now: datetime) -> None:
        """Look which other processes there are, and take over what nobody holds any more."""
        if self.members.is_sole or now < self._look_round_at:
            return
        self._look_round_at = now + LOOK_ROUND_EVERY
        if await self.members.look():
            self._orphans_at = now
        if now >= self._orphans_at:
            await self._adopt_orphans()

    async def _end_revoked_access(self) -> None:
        """End the streams of logins and tokens that another process has revoked.

        `voxql user reset-password` commits in its own process, whose hub reaches nobody here. The
        same goes for sessions that another process has moved to another user.
        """
        watched = {watched_access(topic) for topic in self.hub.watched(ACCESS_PREFIX)}
        if watched:
            for access_id in await revoked_among(self.transactions.clock, watched):
                self.hub.emit(AccessRevoked(access_id))
        owned = [watched_ownership(topic) for topic in self.hub.watched(OWNERSHIP_PREFIX)]
        for session_id, user_id in await moved_among(owned):
            self.hub.emit(OwnershipLost(session_id, user_id))

    async def _note_absences(self) -> None:
        """Set deadlines for people who left while the database was read-only and are still away."""
        connections = self.connections
        for session_id in connections.unnoted():
            connections.noted(session_id)
            try:
                await self.transactions.run(partial(self._note_absence, session_id))
            except NotStored:
                connections.leave_unnoted(session_id)
                raise

    async def _note_absence(self, session_id: str, transaction: Transaction) -> None:
        connections, now, config = self.connections, transaction.now, self.config
        edit = await transaction.edit(session_id)
        if edit is None or edit.session.status is SessionStatus.ENDED:
            connections.forget(session_id)
            return
        # A running deadline is not moved by every attempt to return.
        session = edit.session
        if session.agent_at == self.members.me and not connections.has_agent(session_id):
            connections.note_gone(session, transaction)
        if not connections.agent_is_there(session) and session.agent_back_by is None:
            lifecycle.agent_lost(session, now, config)
        if not connections.has_person(session_id) and session.person_back_by is None:
            lifecycle.person_left(session, now, config)

    async def _act(self, session_id: str) -> None:
        async def work(transaction: Transaction) -> tuple[str | None, int]:
            if not await sessions.claim(transaction.conn, session_id):
                return None, 0
            edit = await transaction.edit(session_id)
            if edit is None:
                return await _finish_tombstone(transaction, session_id), 0
            session = edit.session
            action = self._expire(session, transaction.now)
            if action is not None:
                stop_agent(transaction, session)
            if action in ("agent_asked", "agent_asked_again"):
                # Not awaited here: it may take seconds, and deadlines don't wait.
                transaction.emit(wanted(session))
            return action, session.attempt

        action, attempt = await self.transactions.run(work)
        if action is not None:
            self.metrics.reaped[action] += 1
        if action == "start_timeout":
            log.warning("agent_timeout", session=session_id, attempt=attempt)

    def _expire(self, session: Session, now: datetime) -> str | None:
        """Change the session as its passed deadlines demand; return what was done, if anything.

        Every deadline is checked again here, under the row's lock: it may just have been moved.
        """
        connections, config = self.connections, self.config
        may_write = connections.may_report(session, now, config)
        if connections.is_here_only(session):
            connections.note_here(session, now, config)
        if connections.agent_is_there(session):
            lifecycle.agent_back(session)
        if _is_past(session.start_by, now):
            seconds = config.start_timeout.total_seconds()
            message = f"The agent was not ready within {seconds:g} seconds. Please try again."
            lifecycle.fail(session, lifecycle.TOO_LATE, message, now, config)
            return "start_timeout"
        if _is_past(session.retry_by, now):
            lifecycle.end(session, EndReason.START_FAILED, now, config, may_write=may_write)
            return "retry_over"
        if _is_past(session.drain_by, now):
            lifecycle.finish(session)
            return "grace_over"
        if _is_past(session.agent_back_by, now):
            lifecycle.end(session, EndReason.ABANDONED, now, config, may_write=may_write)
            return "agent_gone"
        if _is_past(session.person_back_by, now):
            return self._person_is_away(session, now)
        if _is_past(session.agent_retry_by, now):
            return self._ask_again(session, now)
        return None

    def _ask_again(self, session: Session, now: datetime) -> str | None:
        has_no_place = self.agents.free(session.agent_name) == 0
        if has_no_place and self.hub.is_shared:
            return None  # the last place has just been taken; another process may have one
        if session.status is SessionStatus.STARTING:
            session.agent_retry_by = None
            return "agent_asked_again"
        if has_no_place:
            # No agent is free yet; the person sees that the agent is gone, and waits.
            session.agent_retry_by = now + self.config.agent_retry_after
            return None
        lifecycle.ask(session, now, self.config)
        return "agent_asked"

    def _person_is_away(self, session: Session, now: datetime) -> str | None:
        connections, config = self.connections, self.config
        if connections.is_elsewhere(session.held_by):
            return None  # that process knows whether the person is there
        if connections.has_person(session.id):
            # An absence was noted before this process watched the conversation.
            session.person_back_by = None
            return None
        heard = connections.heard_at(session.id)
        if heard is not None and heard + config.abandon_after > now:
            # A person whose words arrive is there, however their voice travels.
            session.person_back_by = heard + config.abandon_after
            return None
        if self.hub.watched(transcripts_topic(session.id)):
            # A person who reads along may type at any moment.
            session.person_back_by = now + config.abandon_after
            return None
        may_write = connections.may_report(session, now, config)
        lifecycle.end(session, EndReason.ABANDONED, now, config, may_write=may_write)
        return "person_gone"

    async def _tidy(self, now: datetime) -> None:
        """Delete expired records, and guests that nobody can reach."""

        async def work(transaction: Transaction) -> None:
            conn = transaction.conn
            await idempotency.delete_before(conn, now - KEPT_FOR)
            await sessions.delete_old_tombstones(conn, now - TOMBSTONE_FOR)
            await delete_unreachable(conn)

        await self.transactions.run(work)
        await delete_expired_logins(self.transactions.clock)


async def _finish_tombstone(transaction: Transaction, session_id: str) -> str | None:
    """Tell those connected here of a deletion by another process, or delete more utterances."""
    tombstone = await sessions.locked(transaction.conn, session_id)
    if tombstone is None:
        return None
    is_untold, tombstone.tell_by = tombstone.tell_by is not None, None
    if not is_untold:
        await delete_more(transaction.conn, tombstone)
    await sessions.save_columns(transaction.conn, tombstone, ["tell_by", "purge_by"])
    if not is_untold:
        return None
    tell_deleted(transaction, tombstone)
    return "deleted"


def _is_past(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
