"""Who wins a key: the rules by which what agents and clients say becomes one state.

The rules are a total order apart from ties, so the outcome does not depend on the order in which
changes arrive, except that among equals the first stays.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from models import Role, UtteranceSource


class Rank(IntEnum):
    """How much authority a change has; the higher one wins."""

    CLIENT_INTERIM = 0
    BRIDGE_INTERIM = 1
    CLIENT_FINAL = 2
    BRIDGE_FINAL = 3
    """Typed lines too: the server itself took them from the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceChange:
    """What somebody says that the utterance with this key is."""

    key: str
    role: Role
    source: UtteranceSource
    text: str
    is_final: bool
    started_at: datetime
    ended_at: datetime | None = None
    attempt: int | None = None
    """Which attempt says it; None for what no agent says."""
    agent_revision: int | None = None
    """The agent's own count inside the segment; None for what no agent says."""
    is_interrupted: bool = False
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    awaits_agent: bool = False


def rank(source: UtteranceSource, is_final: bool) -> Rank:
    """Return the authority of what came from this source."""
    if source is UtteranceSource.CLIENT_REPORTED:
        return Rank.CLIENT_FINAL if is_final else Rank.CLIENT_INTERIM
    return Rank.BRIDGE_FINAL if is_final else Rank.BRIDGE_INTERIM


def prevails(
    change: UtteranceChange,
    held_source: UtteranceSource,
    held_is_final: bool,
    held_revision: int | None,
) -> bool:
    """Whether the change replaces what is held under its key.

    `held_revision` is the agent's revision of what is held; among bridge changes of one rank the
    higher wins, and a line that the person typed (it has none) is never rewritten by an agent.
    """
    claimed, held = rank(change.source, change.is_final), rank(held_source, held_is_final)
    if claimed is not held:
        return claimed > held
    if change.agent_revision is None or held_revision is None:
        return False
    return change.agent_revision > held_revision
