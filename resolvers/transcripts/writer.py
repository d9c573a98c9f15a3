"""Takes what agents say, commits it in groups, and publishes it in order.

An interim of an utterance that is already known is published at once and written at most a second
later. Everything else waits for a commit; all that arrives while one commit runs shares the next.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeVar

import structlog

from hub.hub import Hub
from models import Session, SessionStatus, Utterance
from models.database import Connection, NotStored, transact
from resolvers.events import (
    InterimHeard,
    SessionChanged,
    TranscriptCommitted,
    TranscriptEnded,
    UtteranceState,
    session_topic,
    state_of,
    transcripts_topic,
    user_topic,
)
from resolvers.metrics import Metrics
from resolvers.transcripts.commit_queue import (
    GONE,
    KEY_TAKEN,
    NOT_STORED,
    Batch,
    Fault,
    Queued,
    Reply,
    answer,
)
from resolvers.transcripts.live import LiveTranscript, Open, change_of, supersedes
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.transaction import (
    SessionEdit,
    Transaction,
    is_from_agent,
    is_typed_by_person,
)

T = TypeVar("T")
log = structlog.get_logger(__name__)

WRITE_WITHIN_S: Final = 1.0
"""An interim that was published is written at most this much later."""
CARRIED: Final = 250
"""Changes of one session in one commit that its event carries; readers fetch more themselves."""
CARRIED_WEIGHT: Final = 64 * 1024
"""Characters of text in one event. JSON may make twelve bytes of each, and many WebSocket clients
take frames of up to 1 MiB: with a larger one they break off, come back, and get it again."""
WAITING: Final = 4_096
"""Utterances of one session that may wait for a commit; what floods beyond that is sent again."""
RETRY_AFTER_S: Final = 0.5
COMMIT_EVERY_S: Final = 0.01
"""From a commit that several shared to the next, so that under load each takes more: that saves
a third of the server's CPU at 200 sessions (docs/figures.md)."""


class TranscriptWriter:
    """All writing of transcripts in this process goes through here. Belongs to one event loop.

    Args:
        hub: where those who watch are told.
        clock: the time that is written.
        pace: seconds from a commit of what several said to the next, at least.
    """

    def __init__(
        self, hub: Hub, clock: Callable[[], datetime], *, pace: float = COMMIT_EVERY_S
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._pace = pace
        self.metrics = Metrics()
        self.on_ended: list[Callable[[str, str], None]] = []
        """Called with the id and the room of every session that is ENDED or deleted from now on."""
        self._memories: dict[str, LiveTranscript] = {}
        self._waiting: Batch = {}
        self._in_flight: Batch = {}
        self._is_shared = False
        """Whether the newest group had several changes in it."""
        self._work = asyncio.Event()
        # Held from the first statement until the events are published, so that they leave in the
        # order of their commits.
        self._turn = asyncio.Lock()
        # One group at a time: what is in flight is looked at while it commits.
        self._committing = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()

    # ------------------------------------------------------------------ what agents say

    def report(self, session_id: str, change: UtteranceChange, reply: Reply) -> None:
        """Take what an agent says; never waits.

        `reply` is called with None once a final is committed and synced, or an interim is taken;
        with a Fault where it is not. An interim that a newer one overtakes gets no answer.
        """
        heard_at = time.perf_counter()
        live = self._memories.setdefault(session_id, LiveTranscript())
        if not change.is_final and self._take_interim(session_id, live, change, heard_at):
            reply(None)
            return
        waiting = self._waiting.setdefault(session_id, {})
        entry = waiting.get(change.key)
        if entry is None and len(waiting) >= WAITING:
            reply(NOT_STORED)
            return
        if entry is None:
            entry = waiting[change.key] = Queued(change, heard_at)
        elif supersedes(change, entry.change):
            entry.change = change
        # First sights of interims are answered when they are committed too: an ack for something
        # that a full disk then swallows would be a lie.
        entry.listen(change, reply)
        self._work.set()

    def _take_interim(
        self, session_id: str, live: LiveTranscript, change: UtteranceChange, heard_at: float
    ) -> bool:
        """Publish an interim at once where that is safe, or drop it where it is outdated."""
        key = change.key
        if key in live.settled:
            return True
        flying = self._in_flight.get(session_id, {}).get(key)
        if flying is not None and flying.change.is_final:
            return True
        if key in self._waiting.get(session_id, ()):
            return False
        known = live.open.get(key)
        if known is None:
            return False
        if not supersedes(change, known.change):
            return True
        if known.revision >= known.ceiling:
            return False
        known.change = change
        known.revision += 1
        self._mark_dirty(live, known)
        self.metrics.interims += 1
        self._hub.publish(
            transcripts_topic(session_id), InterimHeard(known.published(session_id), heard_at)
        )
        return True

    def _mark_dirty(self, live: LiveTranscript, known: Open) -> None:
        known.is_dirty = True
        if live.dirty_since is None:
            live.dirty_since = asyncio.get_running_loop().time()
            self._work.set()

    def interims(self, session_id: str) -> list[UtteranceState]:
        """Return the newest published state of everything in this session that may still change."""
        live = self._memories.get(session_id)
        if live is None:
            return []
        return [known.published(session_id) for known in live.open.values()]

    def drop(self, session: Session) -> None:
        """Forget a session that has been deleted, with all that was not yet written of it."""
        self._memories.pop(session.id, None)
        self._tell_ended(session)

    def remembers(self, session_id: str) -> bool:
        """Whether this process knows what was published of this session."""
        return session_id in self._memories

    def forget(self, session_id: str) -> None:
        """Drop what is remembered of a session that is over, once the database has all of it."""
        live = self._memories.get(session_id)
        is_written = live is None or live.dirty_since is None
        if is_written and session_id not in self._waiting:
            self._memories.pop(session_id, None)

    # ------------------------------------------------------------------ transactions

    async def transaction(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        after: Callable[[T], object] | None = None,
    ) -> T:
        """Run the work in one transaction, then tell everybody who watches.

        A caller that is cancelled leaves it running to its end: what was committed is published.

        Args:
            work: what to do, and to return.
            after: called with the result once it is committed and told, before the next
                transaction begins and even if the caller is gone by then. What has to follow from
                the commit belongs here; it must neither wait nor raise.
        """
        task = asyncio.create_task(self._transaction(work, after))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _transaction(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        after: Callable[[T], object] | None,
    ) -> T:
        asked_at = time.monotonic()
        async with self._turn:
            began = time.perf_counter()
            committed: list[Transaction] = []

            async def body(conn: Connection) -> T:
                transaction = Transaction(conn, self._clock())
                result = await work(transaction)
                for edit in list(transaction.edits.values()):
                    await self.flush(edit)
                await transaction.write()
                committed.append(transaction)
                return result

            result = await transact(body, asked_at=asked_at)
            self.metrics.transactions.add(time.perf_counter() - began)
            for edit in committed[0].edits.values():
                self._announce(edit)
            if after is not None:
                after(result)
            return result

    async def flush(self, edit: SessionEdit) -> None:
        """Bring everything that is known of this session but not yet written into the transaction.

        That is what was published already, and what waits for a commit of its own: merging a change
        twice is harmless, so the commit that it waits for still answers it.
        """
        session_id = edit.session.id
        changes = list(self._dirty(session_id).values())
        for batch in (self._in_flight, self._waiting):
            changes.extend(entry.change for entry in batch.get(session_id, {}).values())
        if changes:
            await edit.load(change.key for change in changes)
            for change in changes:
                await edit.merge(change)

    def _dirty(self, session_id: str) -> dict[str, UtteranceChange]:
        live = self._memories.get(session_id)
        return live.dirty if live is not None else {}

    def _announce(self, edit: SessionEdit) -> None:
        session = edit.session
        if edit.changed:
            rows = list(edit.changed.values())
            is_light = len(rows) <= CARRIED and sum(len(r.text) for r in rows) <= CARRIED_WEIGHT
            utterances = tuple((row.seq, state_of(row)) for row in rows) if is_light else None
            self._hub.publish(
                transcripts_topic(session.id),
                TranscriptCommitted(
                    edit.first_seq, session.last_seq, utterances, self._heard_at(session.id)
                ),
            )
            self.metrics.utterances += edit.created_count
            self._remember(session.id, rows)
        if edit.is_visibly_changed:
            self.announce_session(session)
        if session.status is SessionStatus.ENDED:
            self.forget(session.id)

    def _heard_at(self, session_id: str) -> float | None:
        changes = self._in_flight.get(session_id)
        return min(entry.heard_at for entry in changes.values()) if changes else None

    def announce_session(self, session: Session) -> None:
        """Tell those who watch a session how it is now."""
        changed = SessionChanged(session.id, session)
        self._hub.publish(session_topic(session.id), changed)
        self._hub.publish(user_topic(session.user_id), changed)
        if session.status is SessionStatus.ENDED:
            self._hub.publish(transcripts_topic(session.id), TranscriptEnded("SESSION_ENDED"))
            self._tell_ended(session)

    def _tell_ended(self, session: Session) -> None:
        for listener in self.on_ended:
            listener(session.id, session.room_name)

    def _remember(self, session_id: str, rows: list[Utterance]) -> None:
        live = self._memories.setdefault(session_id, LiveTranscript())
        for row in rows:
            if not is_from_agent(row):
                live.settle(row.key) if row.is_final else live.open.pop(row.key, None)
                continue
            known = live.open.get(row.key)
            if known is None:
                known = live.open[row.key] = Open(
                    row.id, row.sort_key, row.position, change_of(row), row.revision, row.ceiling
                )
            known.revision, known.ceiling = row.revision, row.ceiling
            if (known.change.agent_revision or 0) > (row.agent_revision or 0):
                # It changed while the commit ran. What was published then is under the revision
                # just committed, so it is published again, above it.
                known.revision += 1
                self._hub.publish(
                    transcripts_topic(session_id), InterimHeard(known.published(session_id))
                )
            else:
                # The commit may have stored more than was published: past the ceiling interims
                # wait for it. Older ones that come late must not pass for news after it.
                known.change, known.is_dirty = change_of(row), False
        if not live.dirty:
            live.dirty_since = None

    # ------------------------------------------------------------------ group commit

    async def run(self) -> None:
        """Commit what waits, for as long as the server lives."""
        loop, began = asyncio.get_running_loop(), 0.0
        while True:
            await self._until_due()
            if self._is_shared:
                # Where several speak at once, each commit takes more with it.
                await asyncio.sleep(max(0.0, began + self._pace - loop.time()))
            began = loop.time()
            if not await self.commit_waiting():
                await asyncio.sleep(RETRY_AFTER_S)

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._waiting:
            oldest = min(
                (m.dirty_since for m in self._memories.values() if m.dirty_since is not None),
                default=None,
            )
            timeout = None if oldest is None else oldest + WRITE_WITHIN_S - loop.time()
            if timeout is not None and timeout <= 0:
                return
            self._work.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._work.wait()
            except TimeoutError:
                return

    async def commit_waiting(self) -> bool:
        """Commit everything that waits now; return whether all of it could be stored."""
        async with self._committing:
            return await self._commit_waiting()

    async def _commit_waiting(self) -> bool:
        batch, self._waiting = self._waiting, {}
        self._in_flight = batch
        self._is_shared = sum(map(len, batch.values())) > 1
        now = asyncio.get_running_loop().time()
        due = [
            session_id
            for session_id, live in self._memories.items()
            if live.dirty_since is not None and live.dirty_since + WRITE_WITHIN_S <= now
        ]
        for session_id in due:
            batch.setdefault(session_id, {})
        try:
            return not batch or await self._commit(batch) or await self._commit_each(batch)
        except NotStored:
            # No session is at fault: to try each alone would only keep the others waiting.
            for changes in batch.values():
                answer(changes, dict.fromkeys(changes, NOT_STORED))
            return False
        finally:
            self._in_flight = {}

    async def _commit_each(self, batch: Batch) -> bool:
        """Commit session by session: one at fault must not keep the others from being stored."""
        is_stored = True
        for session_id, changes in batch.items():
            try:
                if await self._commit({session_id: changes}):
                    continue
            except NotStored:
                pass
            is_stored = False
            answer(changes, dict.fromkeys(changes, NOT_STORED))
        return is_stored

    async def _commit(self, batch: Batch) -> bool:
        """Commit these together and answer them; False when one of them is at fault.

        Raises:
            NotStored: None of them is.
        """
        faults: dict[str, dict[str, Fault]] = {}

        async def work(transaction: Transaction) -> None:
            await transaction.lock(
                {id_: [*changes, *self._dirty(id_)] for id_, changes in batch.items()}
            )
            for session_id, changes in batch.items():
                faults[session_id] = await self._merge(transaction, session_id, changes)

        try:
            await self.transaction(work)
        except NotStored:
            raise
        except Exception:
            log.exception("commit_failed", sessions=len(batch))
            return False
        now = time.perf_counter()
        for session_id, changes in batch.items():
            for entry in changes.values():
                self.metrics.committed.add(now - entry.heard_at)
            answer(changes, faults[session_id])
        return True

    async def _merge(
        self, transaction: Transaction, session_id: str, changes: dict[str, Queued]
    ) -> dict[str, Fault]:
        edit = await transaction.edit(session_id)
        if edit is None:
            self._memories.pop(session_id, None)
            return dict.fromkeys(changes, GONE)
        faults: dict[str, Fault] = {}
        rows = await edit.load(changes)
        for key, entry in changes.items():
            if not await edit.merge(entry.change) and is_typed_by_person(rows[key]):
                faults[key] = KEY_TAKEN
        return faults

    async def drain(self) -> None:
        """Write everything that is known and wait for every transaction under way."""
        for live in self._memories.values():
            if live.dirty_since is not None:
                live.dirty_since = 0.0
        await self.commit_waiting()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
