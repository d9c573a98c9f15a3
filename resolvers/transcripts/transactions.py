"""Runs transactions one at a time, and publishes their events in the order of the commits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hub.hub import Hub
from models.database import Connection, transact
from models.tables import SessionStatus
from resolvers.clock import Clock
from resolvers.metrics import Metrics
from resolvers.transcripts.commit_queue import CommitQueue
from resolvers.transcripts.edit import SessionEdit
from resolvers.transcripts.live import LiveTranscripts
from resolvers.transcripts.transaction import Transaction

T = TypeVar("T")


class Transactions:
    """Runs this process's transactions and publishes their events. Belongs to one event loop.

    Args:
        hub: Publishes the events.
        clock: Returns the time that is written.
        queue: Changes that wait for a commit; each transaction also writes those of its sessions.
        live: Changes that are published but not written; likewise.
        metrics: Counts transactions.
    """

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        queue: CommitQueue,
        live: LiveTranscripts,
        metrics: Metrics,
    ) -> None:
        self._hub = hub
        self.clock = clock
        self._queue = queue
        self._live = live
        self._metrics = metrics
        # Held from the first statement until the events are published, so that they keep the order
        # of their commits.
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()

    async def run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in one transaction, then publish everything it emitted.

        If the caller is cancelled, the transaction still runs to its end: what is committed is
        published.

        Args:
            work: The work; its result is returned. An exception rolls everything back, including
                the events, and reaches the caller.

        Raises:
            NotStored: The disk is full, the file is locked, or the like; nothing was changed.
        """
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def settled(self) -> None:
        """Wait for all running transactions."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _run(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        asked_at = time.monotonic()
        async with self._turn:
            began = time.perf_counter()
            committed: list[Transaction] = []

            async def body(conn: Connection) -> T:
                live = self._live
                transaction = Transaction(conn, self.clock(), live.pending, live.revision_of)
                result = await work(transaction)
                await transaction.write()
                committed.append(transaction)
                return result

            result = await transact(body, asked_at=asked_at)
            self._metrics.transactions.add(time.perf_counter() - began)
            [transaction] = committed
            for edit in transaction.edits.values():
                self._publish(edit)
            for event in transaction.emitted:
                self._hub.emit(event)
            return result

    def _publish(self, edit: SessionEdit) -> None:
        session = edit.session
        event = edit.committed(self._queue.heard_at(session.id))
        if event is not None:
            self._hub.emit(event)
            self._metrics.utterances += edit.created_count
            self._live.written(session.id, edit.changed.values())
        if self._hub.is_shared:
            self._live.overtaken(session.id, edit.unchanged())
        for other in edit.announced():
            self._hub.emit(other)
        if session.status is SessionStatus.ENDED:
            self._live.forget(session.id)
