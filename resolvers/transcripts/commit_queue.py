"""Queues changes for the next commit, and tells their senders the outcome."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from resolvers.transcripts.merge import UtteranceChange, supersedes

log = structlog.get_logger(__name__)

WAITING: Final = 4_096
"""Utterances of one session that may wait for a commit; agents resend what exceeds that."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an agent's change was rejected."""

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
    """A change that waits for a commit, and the replies to send after it."""

    change: UtteranceChange
    heard_at: float
    replies: list[Reply] = field(default_factory=list)
    newest_interim: tuple[int, Reply] | None = None
    """The newest interim's revision and reply; its answer settles the earlier interims."""

    def listen(self, change: UtteranceChange, reply: Reply) -> None:
        """Note a reply to send; of the interims, only the newest is answered.

        Answering a flood of interims all at once after the commit would be more than an agent can
        read in one turn.
        """
        revision = change.agent_revision or 0
        if change.is_final:
            self.replies.append(reply)
        elif self.newest_interim is None or revision >= self.newest_interim[0]:
            self.newest_interim = (revision, reply)

    def listeners(self) -> list[Reply]:
        """Return all replies to send."""
        return ([self.newest_interim[1]] if self.newest_interim else []) + self.replies


Batch = dict[str, dict[str, Queued]]
"""Waiting changes, by session and key."""


class CommitQueue:
    """The changes that wait for the next commit, and those in the running commit."""

    def __init__(self) -> None:
        self.has_work = asyncio.Event()
        """Set when a change arrives, here or in `LiveTranscripts`; the writer clears it."""
        self._waiting: Batch = {}
        self._in_flight: Batch = {}

    def __bool__(self) -> bool:
        """Whether any change waits."""
        return bool(self._waiting)

    def add(self, session_id: str, change: UtteranceChange, heard_at: float, reply: Reply) -> None:
        """Queue a change for the next commit; `reply` is called as `TranscriptWriter` says."""
        waiting = self._waiting.setdefault(session_id, {})
        entry = waiting.get(change.key)
        if entry is None and len(waiting) >= WAITING:
            reply(NOT_STORED)
            return
        if entry is None:
            entry = waiting[change.key] = Queued(change, heard_at)
        elif supersedes(change, entry.change):
            entry.change = change
        # An utterance's first interim is also answered only when committed: an ack for something
        # that a full disk then loses would be a lie.
        entry.listen(change, reply)
        self.has_work.set()

    def take(self) -> Batch:
        """Begin a commit: the waiting changes are in flight until `landed`."""
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
        """Whether the running commit makes this key final."""
        entry = self._in_flight.get(session_id, {}).get(key)
        return entry is not None and entry.change.is_final

    def changes(self, session_id: str) -> Iterator[UtteranceChange]:
        """Yield the changes in flight, then those that wait."""
        for batch in (self._in_flight, self._waiting):
            for entry in batch.get(session_id, {}).values():
                yield entry.change

    def heard_at(self, session_id: str) -> float | None:
        """Return when the first frame in flight arrived; None if nothing is in flight."""
        changes = self._in_flight.get(session_id)
        return min(entry.heard_at for entry in changes.values()) if changes else None


def answer(changes: dict[str, Queued], faults: Mapping[str, Fault]) -> None:
    """Send each reply its outcome: the key's fault, or None for a stored change."""
    for key, entry in changes.items():
        for reply in entry.listeners():
            try:
                reply(faults.get(key))
            except Exception:  # one faulty connection must not end everybody's commits
                log.exception("reply_failed")
