"""What a process remembers of transcripts while they are spoken: what it published of them last."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from models import Utterance
from resolvers.events import UtteranceState
from resolvers.transcripts.merge import UtteranceChange, prevails

SETTLED: Final = 256
"""Final utterances of a session whose late interims are dropped without asking the database."""


@dataclass(slots=True)
class Open:
    """An agent's utterance that may still change: what was published of it last."""

    id: str
    sort_key: str
    position: float
    change: UtteranceChange
    revision: int
    ceiling: int
    is_dirty: bool = False

    def published(self, session_id: str) -> UtteranceState:
        """Return it as those who watch have it."""
        change = self.change
        return UtteranceState(
            self.id,
            session_id,
            change.key,
            self.revision,
            change.role,
            change.speaker,
            change.source,
            change.text,
            change.is_final,
            change.is_interrupted,
            self.sort_key,
            self.position,
            change.language,
            change.confidence,
            change.started_at,
            change.ended_at,
        )


@dataclass(slots=True)
class LiveTranscript:
    """What this process remembers of one session's transcript."""

    open: dict[str, Open] = field(default_factory=dict)
    settled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    dirty_since: float | None = None

    @property
    def dirty(self) -> dict[str, UtteranceChange]:
        """What was published and is not yet written, by key."""
        return {key: each.change for key, each in self.open.items() if each.is_dirty}

    def settle(self, key: str) -> None:
        """Note that this key is final, or that its agent may not change it any more."""
        self.open.pop(key, None)
        self.settled[key] = None
        if len(self.settled) > SETTLED:
            self.settled.popitem(last=False)


def supersedes(change: UtteranceChange, held: UtteranceChange) -> bool:
    """Whether an agent's newer change takes the place of one that it made before."""
    return prevails(change, held.source, held.is_final, held.agent_revision)


def change_of(row: Utterance) -> UtteranceChange:
    """Return what the row says as a change."""
    return UtteranceChange(
        key=row.key,
        role=row.role,
        source=row.source,
        text=row.text,
        is_final=row.is_final,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempt=row.attempt,
        agent_revision=row.agent_revision,
        is_interrupted=row.is_interrupted,
        speaker=row.speaker,
        language=row.language,
        confidence=row.confidence,
    )
