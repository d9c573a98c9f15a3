"""Who wins a key: the rules by which what agents and clients say becomes one state.

The rules are a total order apart from ties, so the outcome does not depend on the order in which
changes arrive, except that among equals the first stays.
"""

from enum import IntEnum
from typing import Final

from hub.events import CONTENT, UtteranceContent, content_of
from models import Utterance, UtteranceSource


class Rank(IntEnum):
    """How much authority a change has; the higher one wins."""

    CLIENT_INTERIM = 0
    BRIDGE_INTERIM = 1
    CLIENT_FINAL = 2
    BRIDGE_FINAL = 3
    """Typed lines too: the server itself took them from the person."""


class UtteranceChange(UtteranceContent, frozen=True, kw_only=True):
    """What somebody says that the utterance with this key is."""

    key: str
    attempt: int | None = None
    """Which attempt says it; None for what no agent says."""
    agent_revision: int | None = None
    """The agent's own count inside the segment; None for what no agent says."""
    awaits_agent: bool = False


CHANGED: Final = (*CONTENT, "agent_revision", "awaits_agent")
"""What a change says of a row, by the names that both have for it."""


def change_of(row: Utterance) -> UtteranceChange:
    """Return what the row says as a change."""
    return UtteranceChange(
        *content_of(row), key=row.key, attempt=row.attempt, agent_revision=row.agent_revision
    )


def is_from_agent(row: Utterance) -> bool:
    """Whether an agent wrote this row and may still change it."""
    return row.agent_revision is not None and not row.is_final


def is_typed_by_person(row: Utterance) -> bool:
    """Whether the person typed it; what an agent only writes is TYPED too, with its revision."""
    return row.source == UtteranceSource.TYPED and row.agent_revision is None


def rank(source: str, is_final: bool) -> Rank:
    """Return the authority of what came from this source."""
    if source == UtteranceSource.CLIENT_REPORTED:
        return Rank.CLIENT_FINAL if is_final else Rank.CLIENT_INTERIM
    return Rank.BRIDGE_FINAL if is_final else Rank.BRIDGE_INTERIM


def prevails(
    change: UtteranceChange,
    held_source: str,
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


def supersedes(change: UtteranceChange, held: UtteranceChange) -> bool:
    """Whether an agent's newer change takes the place of one that it made before."""
    return prevails(change, held.source, held.is_final, held.agent_revision)
