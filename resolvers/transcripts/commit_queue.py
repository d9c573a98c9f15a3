"""Claims that wait for a commit, and what those who made them are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from resolvers.transcripts.merge import UtteranceChange

log = structlog.get_logger(__name__)


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


def answer(changes: dict[str, Queued], faults: Mapping[str, Fault]) -> None:
    """Tell everybody who waits what became of it: the key's fault, or that it is safe."""
    for key, entry in changes.items():
        for reply in entry.listeners():
            try:
                reply(faults.get(key))
            except Exception:  # one connection's fault must not end the commits of all
                log.exception("reply_failed")
