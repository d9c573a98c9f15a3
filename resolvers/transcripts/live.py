"""Tracks transcripts while they are spoken: what this process last published of them."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hub.events import InterimHeard, SessionDeleted, UtteranceState, content_of
from hub.hub import Hub
from models.tables import Utterance
from resolvers.metrics import Metrics
from resolvers.transcripts.commit_queue import CommitQueue
from resolvers.transcripts.merge import (
    UtteranceChange,
    change_of,
    is_from_agent,
    prevails,
    supersedes,
)

WRITE_WITHIN_S: Final = 1.0
"""Seconds within which a published interim is written."""
SETTLED: Final = 256
"""Final utterances of a session whose late interims are dropped without a query."""


@dataclass(slots=True)
class _Open:
    """An agent's utterance that may still change, as it was last published."""

    id: str
    sort_key: str
    position: float
    change: UtteranceChange
    revision: int
    written: int
    """The revision under which this process last wrote it."""
    ceiling: int
    """The highest revision that this process may publish it under before it is written again."""
    is_dirty: bool = False
    """Whether it was published and not written yet."""

    def published(self, session_id: str) -> UtteranceState:
        """Return it as it was published."""
        return UtteranceState(
            *content_of(self.change),
            id=self.id,
            session_id=session_id,
            key=self.change.key,
            revision=self.revision,
            sort_key=self.sort_key,
            position=self.position,
        )


@dataclass(slots=True)
class _LiveTranscript:
    """What this process knows of one session's transcript."""

    open: dict[str, _Open] = field(default_factory=dict)
    settled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    dirty_since: float | None = None

    def settle(self, key: str) -> None:
        """Note that this key is final, or that its agent may no longer change it."""
        self.open.pop(key, None)
        self.settled[key] = None
        if len(self.settled) > SETTLED:
            self.settled.popitem(last=False)


class LiveTranscripts:
    """Publishes interims at once where that is safe, and tracks which are not written yet."""

    def __init__(self, hub: Hub, queue: CommitQueue, metrics: Metrics) -> None:
        self._hub = hub
        self._queue = queue
        self._metrics = metrics
        self._sessions: dict[str, _LiveTranscript] = {}
        hub.on(SessionDeleted, lambda deleted: self.drop(deleted.session_id))

    def take(self, session_id: str, change: UtteranceChange, heard_at: float) -> bool:
        """Publish an interim, or drop it if it is outdated; return False if it needs a commit."""
        live = self._sessions.setdefault(session_id, _LiveTranscript())
        key = change.key
        if key in live.settled or self._queue.is_final_in_flight(session_id, key):
            return True
        if self._queue.is_waiting(session_id, key):
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
        known.is_dirty = True
        if live.dirty_since is None:
            live.dirty_since = asyncio.get_running_loop().time()
            self._queue.has_work.set()
        self._metrics.interims += 1
        self._hub.emit(InterimHeard(known.published(session_id), heard_at))
        return True

    def interims(self, session_id: str) -> list[UtteranceState]:
        """Return the newest published state of each of this session's unfinished utterances."""
        live = self._sessions.get(session_id)
        if live is None:
            return []
        return [known.published(session_id) for known in live.open.values()]

    def known(self) -> Collection[str]:
        """Return the sessions of which something is known."""
        return self._sessions.keys()

    def remembers(self, session_id: str) -> bool:
        """Whether this process knows what was published of this session."""
        return session_id in self._sessions

    # ------------------------------------------------------------------ what is to be written

    def dirty(self, session_id: str) -> dict[str, UtteranceChange]:
        """Return this session's published changes that are not written yet, by key."""
        live = self._sessions.get(session_id)
        if live is None:
            return {}
        return {key: each.change for key, each in live.open.items() if each.is_dirty}

    def pending(self, session_id: str) -> Iterator[UtteranceChange]:
        """Yield all changes of this session that are not written yet."""
        yield from self.dirty(session_id).values()
        yield from self._queue.changes(session_id)

    def revision_of(self, row: Utterance) -> int | None:
        """Return the revision under which this process has published exactly what `row` says.

        None if it has not, or if another process has written the row since: revisions are then
        reserved for that one. `row` has the revision and the ceiling that are stored.
        """
        live = self._sessions.get(row.session_id)
        known = None if live is None else live.open.get(row.key)
        if known is None or (known.written, known.ceiling) != (row.revision, row.ceiling):
            return None
        return known.revision if content_of(known.change) == content_of(row) else None

    def due_at(self) -> float | None:
        """Return when the oldest published change must be written; None if there is none."""
        since = (live.dirty_since for live in self._sessions.values())
        oldest = min((moment for moment in since if moment is not None), default=None)
        return None if oldest is None else oldest + WRITE_WITHIN_S

    def due(self, now: float) -> list[str]:
        """Return the sessions with a published change that must be written now."""
        return [
            session_id
            for session_id, live in self._sessions.items()
            if live.dirty_since is not None and live.dirty_since + WRITE_WITHIN_S <= now
        ]

    def make_due(self) -> None:
        """Make every published change due for the next commit."""
        for live in self._sessions.values():
            if live.dirty_since is not None:
                live.dirty_since = 0.0

    def written(self, session_id: str, rows: Iterable[Utterance]) -> None:
        """Note that these rows of a session were committed and published."""
        live = self._sessions.setdefault(session_id, _LiveTranscript())
        for row in rows:
            if is_from_agent(row):
                self._note(live, row)
            elif row.is_final:
                live.settle(row.key)
            else:
                live.open.pop(row.key, None)
        if not any(known.is_dirty for known in live.open.values()):
            live.dirty_since = None

    def overtaken(self, session_id: str, rows: Iterable[Utterance]) -> None:
        """Note rows that prevail over what this process published: another one has written them.

        Their revisions are reserved for that process, so this one publishes no more of them.
        """
        live = self._sessions.get(session_id)
        if live is None:
            return
        for row in rows:
            known = live.open.get(row.key)
            is_news = known is not None and prevails(
                known.change, row.source, row.is_final, row.agent_revision
            )
            if known is None or not known.is_dirty or is_news:
                continue
            if row.is_final:
                live.settle(row.key)
            else:
                del live.open[row.key]
        if not any(known.is_dirty for known in live.open.values()):
            live.dirty_since = None

    def _note(self, live: _LiveTranscript, row: Utterance) -> None:
        known = live.open.get(row.key)
        if known is None:
            known = live.open[row.key] = _Open(
                row.id,
                row.sort_key,
                row.position,
                change_of(row),
                row.revision,
                row.revision,
                row.ceiling,
            )
        known.written, known.ceiling = row.revision, row.ceiling
        if (known.change.agent_revision or 0) <= (row.agent_revision or 0):
            # The commit may have stored more than was published: past the ceiling, interims wait
            # for it. Late older ones must then not count as news.
            known.revision, known.change, known.is_dirty = row.revision, change_of(row), False
        elif known.revision <= row.revision:
            # It changed while the commit ran, and was published below what is committed now.
            known.revision = row.revision + 1
            self._hub.emit(InterimHeard(known.published(row.session_id)))

    # ------------------------------------------------------------------ the end

    def forget(self, session_id: str) -> None:
        """Drop what is known about a session that is over, once everything is stored."""
        live = self._sessions.get(session_id)
        is_written = live is None or live.dirty_since is None
        if is_written and not self._queue.has_waiting(session_id):
            self._sessions.pop(session_id, None)

    def drop(self, session_id: str) -> None:
        """Drop what is known about a deleted session, including what is not written yet."""
        self._sessions.pop(session_id, None)
