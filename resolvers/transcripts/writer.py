"""Takes what agents say, and commits it in groups.

An interim of a known utterance is published at once and written at most a second later. Everything
else waits for a commit; everything that arrives during one commit shares the next.
"""

import asyncio
import time
from typing import Final

import structlog

from models.database import NotStored
from resolvers.metrics import Metrics
from resolvers.transcripts.commit_queue import (
    GONE,
    KEY_TAKEN,
    NOT_STORED,
    Batch,
    CommitQueue,
    Fault,
    Queued,
    Reply,
    answer,
)
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.merge import UtteranceChange, is_typed_by_person
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions

log = structlog.get_logger(__name__)

RETRY_AFTER_S: Final = 0.5
COMMIT_EVERY_S: Final = 0.01
"""Seconds from a commit that several shared to the next, so that each takes more under load: that
saves a third of the server's CPU at 200 sessions (docs/figures.md)."""


class TranscriptWriter:
    """Takes everything that agents say in this process. Belongs to one event loop.

    Args:
        queue: Changes that wait for the next commit.
        live: Changes that are published but not written yet.
        transactions: Runs the commits.
        metrics: Counts the commits.
        pace: Minimum seconds from a commit of several changes to the next.
    """

    def __init__(
        self,
        queue: CommitQueue,
        live: LiveTranscripts,
        transactions: Transactions,
        metrics: Metrics,
        *,
        pace: float = COMMIT_EVERY_S,
    ) -> None:
        self._queue = queue
        self._live = live
        self._transactions = transactions
        self._metrics = metrics
        self._pace = pace
        self._is_shared = False
        """Whether the newest group had several changes."""
        # One group at a time: the changes in flight are read while they are committed.
        self._committing = asyncio.Lock()

    def report(self, session_id: str, change: UtteranceChange, reply: Reply) -> None:
        """Take what an agent says; never waits.

        `reply` gets None once a final is committed and synced or an interim is taken, or a Fault if
        not. An interim that a newer one overtakes gets no answer.
        """
        heard_at = time.perf_counter()
        if not change.is_final and self._live.take(session_id, change, heard_at):
            reply(None)
        else:
            self._queue.add(session_id, change, heard_at, reply)

    async def run(self) -> None:
        """Commit what waits, while the server lives."""
        loop, began = asyncio.get_running_loop(), 0.0
        while True:
            await self._until_due()
            if self._is_shared:
                # When several agents speak at once, each commit takes more with it.
                await asyncio.sleep(max(0.0, began + self._pace - loop.time()))
            began = loop.time()
            if not await self.commit_waiting():
                await asyncio.sleep(RETRY_AFTER_S)

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._queue:
            due_at = self._live.due_at()
            timeout = None if due_at is None else due_at - loop.time()
            if timeout is not None and timeout <= 0:
                return
            self._queue.has_work.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._queue.has_work.wait()
            except TimeoutError:
                return

    async def commit_waiting(self) -> bool:
        """Commit everything that waits now; return whether all of it was stored."""
        async with self._committing:
            return await self._commit_waiting()

    async def _commit_waiting(self) -> bool:
        batch = self._queue.take()
        self._is_shared = sum(map(len, batch.values())) > 1
        for session_id in self._live.due(asyncio.get_running_loop().time()):
            batch.setdefault(session_id, {})
        try:
            return not batch or await self._commit(batch) or await self._commit_each(batch)
        except NotStored:
            # No session is at fault; trying each alone would only keep the others waiting.
            for changes in batch.values():
                answer(changes, dict.fromkeys(changes, NOT_STORED))
            return False
        finally:
            self._queue.landed()

    async def _commit_each(self, batch: Batch) -> bool:
        """Commit session by session: a faulty one must not keep the others from being stored."""
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
        """Commit these together and answer them; False if one of them is at fault.

        Raises:
            NotStored: The database is not writable; no change is at fault.
        """
        faults: dict[str, dict[str, Fault]] = {}

        async def work(transaction: Transaction) -> None:
            await transaction.lock(
                {id_: [*changes, *self._live.dirty(id_)] for id_, changes in batch.items()}
            )
            for session_id, changes in batch.items():
                faults[session_id] = await self._merge(transaction, session_id, changes)

        try:
            await self._transactions.run(work)
        except NotStored:
            raise
        except Exception:
            log.exception("commit_failed", sessions=len(batch))
            return False
        now = time.perf_counter()
        for session_id, changes in batch.items():
            for entry in changes.values():
                self._metrics.committed.add(now - entry.heard_at)
            answer(changes, faults[session_id])
        return True

    async def _merge(
        self, transaction: Transaction, session_id: str, changes: dict[str, Queued]
    ) -> dict[str, Fault]:
        edit = await transaction.edit(session_id)
        if edit is None:
            self._live.drop(session_id)
            return dict.fromkeys(changes, GONE)
        faults: dict[str, Fault] = {}
        rows = await edit.load(changes)
        for key, entry in changes.items():
            if not await edit.merge(entry.change) and is_typed_by_person(rows[key]):
                faults[key] = KEY_TAKEN
        return faults

    async def drain(self) -> None:
        """Write everything that is not written yet, and wait for all running transactions."""
        self._live.make_due()
        await self.commit_waiting()
        await self._transactions.settled()
