"""What a process remembers of transcripts while they are spoken: what it published of them last."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from models import Utterance
from resolvers.events import UtteranceState
from resolvers.transcripts.merge import Claim, prevails

SETTLED: Final = 256
"""Final utterances of a session whose late interims are dropped without asking the database."""


@dataclass(slots=True)
class Open:
    """An agent's utterance that may still change: what was published of it last."""

    id: str
    sort_key: str
    position: float
    claim: Claim
    revision: int
    ceiling: int
    is_dirty: bool = False

    def published(self, session_id: str) -> UtteranceState:
        """Return it as those who watch have it."""
        claim = self.claim
        return UtteranceState(
            self.id,
            session_id,
            claim.key,
            self.revision,
            claim.role,
            claim.speaker,
            claim.source,
            claim.text,
            claim.is_final,
            claim.is_interrupted,
            self.sort_key,
            self.position,
            claim.language,
            claim.confidence,
            claim.started_at,
            claim.ended_at,
        )


@dataclass(slots=True)
class Memory:
    """What this process remembers of one session's transcript."""

    open: dict[str, Open] = field(default_factory=dict)
    settled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    dirty_since: float | None = None

    @property
    def dirty(self) -> dict[str, Claim]:
        """What was published and is not yet written, by key."""
        return {key: each.claim for key, each in self.open.items() if each.is_dirty}

    def settle(self, key: str) -> None:
        """Note that this key is final, or that its agent may not change it any more."""
        self.open.pop(key, None)
        self.settled[key] = None
        if len(self.settled) > SETTLED:
            self.settled.popitem(last=False)


def supersedes(claim: Claim, held: Claim) -> bool:
    """Whether an agent's newer claim takes the place of one that it made before."""
    return prevails(claim, held.source, held.is_final, held.agent_revision)


def claim_of(row: Utterance) -> Claim:
    """Return what the row says as a claim."""
    return Claim(
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
