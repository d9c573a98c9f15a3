"""Rules that merge the changes of agents and clients into one state per key.

Except for ties, the rules are a total order, so the outcome does not depend on the order in which
changes arrive; among equals, the first stays.
"""

from enum import IntEnum
from typing import Final

from hub.events import CONTENT, UtteranceContent, content_of
from models.tables import Utterance, UtteranceSource


class Rank(IntEnum):
    """The authority of a change; the higher one wins."""

    CLIENT_INTERIM = 0
    BRIDGE_INTERIM = 1
    CLIENT_FINAL = 2
    BRIDGE_FINAL = 3
    """Includes typed lines: the server itself took them from the person."""


class UtteranceChange(UtteranceContent, frozen=True, kw_only=True):
    """A reported state of the utterance with this key."""

    key: str
    attempt: int | None = None
    """The attempt that reports it; None if no agent does."""
    agent_revision: int | None = None
    """The agent's own revision within the segment; None if no agent reports it."""
    awaits_agent: bool = False


CHANGED: Final = (*CONTENT, "agent_revision", "awaits_agent")
"""The attributes that a change sets in a row, under the same names."""


def change_of(row: Utterance) -> UtteranceChange:
    """Return the row's content as a change."""
    return UtteranceChange(
        *content_of(row), key=row.key, attempt=row.attempt, agent_revision=row.agent_revision
    )


def is_from_agent(row: Utterance) -> bool:
    """Whether an agent wrote this row and may still change it."""
    return row.agent_revision is not None and not row.is_final


def is_typed_by_person(row: Utterance) -> bool:
    """Whether the person typed it; text that an agent writes is TYPED too, but has a revision."""
    return row.source == UtteranceSource.TYPED and row.agent_revision is None


def rank(source: str, is_final: bool) -> Rank:
    """Return the authority of a change from this source."""
    if source == UtteranceSource.CLIENT_REPORTED:
        return Rank.CLIENT_FINAL if is_final else Rank.CLIENT_INTERIM
    return Rank.BRIDGE_FINAL if is_final else Rank.BRIDGE_INTERIM


def prevails(
    change: UtteranceChange,
    held_source: str,
    held_is_final: bool,
    held_revision: int | None,
) -> bool:
    """Whether the change replaces what is stored under its key.

    `held_revision` is the agent's revision of what is stored. Among bridge changes of one rank the
    higher revision wins. A line that the person typed has none, so an agent never rewrites it.
    """
    claimed, held = rank(change.source, change.is_final), rank(held_source, held_is_final)
    if claimed is not held:
        return claimed > held
    if change.agent_revision is None or held_revision is None:
        return False
    return change.agent_revision > held_revision


def supersedes(change: UtteranceChange, held: UtteranceChange) -> bool:
    """Whether an agent's newer change replaces an earlier one of its own."""
    return prevails(change, held.source, held.is_final, held.agent_revision)
