"""Changes that wait for a commit, and what those who made them are told."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from resolvers.transcripts.merge import UtteranceChange, supersedes

log = structlog.get_logger(__name__)

WAITING: Final = 4_096
"""Utterances of one session that may wait for a commit; what floods beyond that is sent again."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an agent's change was not taken."""

    code: str
    message: str
    terminal: bool
    """Whether sending it again can never succeed."""


GONE: Final = Fault("GONE", "The session has been deleted.", terminal=True)
KEY_TAKEN: Final = Fault("KEY_TAKEN", "The person typed a line under this key.", terminal=True)
NOT_STORED: Final = Fault("NOT_STORED", "It could not be stored; send it again.", terminal=False)

Reply = Callable[[Fault | None], None]


@dataclass(slots=True)
class Queued:
    """A change that waits for a commit, and who wants to know when it is safe."""

    change: UtteranceChange
    heard_at: float
    replies: list[Reply] = field(default_factory=list)
    newest_interim: tuple[int, Reply] | None = None
    """The only interim that is answered, with its revision: that settles the ones before it."""

    def listen(self, change: UtteranceChange, reply: Reply) -> None:
        """Note who waits for an answer.

        A flood of interims would else be answered all at once after the commit, which for an agent
        is more than it can read in one turn.
        """
        revision = change.agent_revision or 0
        if change.is_final:
            self.replies.append(reply)
        elif self.newest_interim is None or revision >= self.newest_interim[0]:
            self.newest_interim = (revision, reply)

    def listeners(self) -> list[Reply]:
        """Return all whom the outcome is told."""
        return ([self.newest_interim[1]] if self.newest_interim else []) + self.replies


Batch = dict[str, dict[str, Queued]]
"""What waits, by session and key."""


class CommitQueue:
    """What waits for the next commit, and what the one that runs now writes."""

    def __init__(self) -> None:
        self.has_work = asyncio.Event()
        """Set when something has come, here or in `LiveTranscripts`; the writer clears it."""
        self._waiting: Batch = {}
        self._in_flight: Batch = {}

    def __bool__(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def add(self, session_id: str, change: UtteranceChange, heard_at: float, reply: Reply) -> None:
        """Let a change wait for the next commit; `reply` is called as `TranscriptWriter` says."""
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
        self.has_work.set()

    def take(self) -> Batch:
        """Begin a commit: what waits is in flight from now on, until `landed`."""
        self._in_flight, self._waiting = self._waiting, {}
        return self._in_flight

    def landed(self) -> None:
        """Note that the commit is over."""
        self._in_flight = {}

    def is_waiting(self, session_id: str, key: str) -> bool:
        """Whether a change of this key waits for the next commit."""
        return key in self._waiting.get(session_id, ())

    def has_waiting(self, session_id: str) -> bool:
        """Whether anything of this session waits for the next commit."""
        return session_id in self._waiting

    def is_final_in_flight(self, session_id: str, key: str) -> bool:
        """Whether the commit that runs now makes this key final."""
        entry = self._in_flight.get(session_id, {}).get(key)
        return entry is not None and entry.change.is_final

    def changes(self, session_id: str) -> Iterator[UtteranceChange]:
        """Yield what is in flight and what waits, in this order."""
        for batch in (self._in_flight, self._waiting):
            for entry in batch.get(session_id, {}).values():
                yield entry.change

    def heard_at(self, session_id: str) -> float | None:
        """Return when the first frame came of what is in flight; None without any."""
        changes = self._in_flight.get(session_id)
        return min(entry.heard_at for entry in changes.values()) if changes else None


def answer(changes: dict[str, Queued], faults: Mapping[str, Fault]) -> None:
    """Tell everybody who waits what became of it: the key's fault, or that it is safe."""
    for key, entry in changes.items():
        for reply in entry.listeners():
            try:
                reply(faults.get(key))
            except Exception:  # one connection's fault must not end the commits of all
                log.exception("reply_failed")
