"""What clients and agents did and were told, to compare with what the server stored."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from agent_bridge.protocol import Utterance


class Kind(StrEnum):
    """Kinds of violation; each way to break a server has its own."""

    LOST = "an acknowledged word is not in the database"
    ALTERED = "what is in the database is not what was said"
    DOUBLED = "something is there more than once"
    MISPLACED = "something is not in its place"
    UNCOMMITTED = "a subscriber was told of something that the database does not have"
    HOLE = "a cursor passed something that the subscriber was not told of"
    REUSED = "one revision stands for two states"
    UNTOLD = "somebody who watches an ended session does not hold what is stored"
    COUNTERS = "a counter or preview is not what is stored"
    TRACE = "something that was refused, or that nobody said, left a trace"
    NOT_SYNCED = "an acknowledged word was not on the disk"
    FAULT = "the server or the checker failed in another way"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken guarantee."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.what}"


@dataclass(slots=True)
class Spoken:
    """Everything an agent said of one segment, by revision, and what became of its finals."""

    attempt: int
    said: dict[int, Utterance] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    """When each final's revision was acknowledged (`time.time`)."""
    refused: dict[int, str] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Reported:
    """Messages that a client reported, and whether its request was answered."""

    keys: list[str]
    created: dict[str, set[str]]
    """The texts that it gave each key; it may have created that key."""
    is_answered: bool = False


@dataclass(slots=True)
class Conversation:
    """One session as its participants know it."""

    id: str
    owner: str
    title: str | None = None
    """The newest acknowledged title."""
    is_deleted: bool = False
    segments: dict[str, Spoken] = field(default_factory=dict)
    """In the order in which they began."""
    typed: dict[str, str] = field(default_factory=dict)
    """Acknowledged typed lines, by key."""
    typed_perhaps: dict[str, str] = field(default_factory=dict)
    reports: list[Reported] = field(default_factory=list)


class Journal:
    """The checker's own record; nothing in it comes from the server's database."""

    def __init__(self, *, of_several: bool = False) -> None:
        self.of_several = of_several
        """Whether several servers are killed, and Redis and PostgreSQL too."""
        self.conversations: dict[str, Conversation] = {}
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.started_keys: dict[str, str] = {}
        """Session ids by the idempotency keys that created them."""
        self.forbidden: list[str] = []
        """Texts that must not be stored anywhere."""
        self.states: dict[tuple[str, int], object] = {}
        """The state that any subscriber saw under each (utterance, revision)."""
        self._changed = asyncio.Event()

    def is_passing(self, error: dict[str, Any]) -> bool:
        """Whether PostgreSQL is away for a moment, so that the request has to be repeated."""
        is_away = self.of_several and error.get("extensions", {}).get("code") == "INTERNAL"
        self.counts["requests to repeat"] += is_away
        return is_away

    def conversation(self, session: str, owner: str) -> Conversation:
        return self.conversations.setdefault(session, Conversation(session, owner))

    def changed(self) -> None:
        """Wake the callers of `until`."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool], within: float = 30.0) -> None:
        """Wait until the condition is true, checking it after every change."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def acknowledged(self) -> list[tuple[float, str, int]]:
        """Return the time, segment and revision of each acknowledged final."""
        return [
            (when, segment, revision)
            for conversation in self.conversations.values()
            for segment, spoken in conversation.segments.items()
            for revision, when in spoken.acknowledged.items()
        ]

    def violated(self, kind: Kind, what: str) -> None:
        self.counts[f"violation {kind.name}"] += 1
        # A broken server repeats each violation a thousand times; keep a few examples of each.
        if self.counts[f"violation {kind.name}"] <= 20:
            self.violations.append(Violation(kind, what))

    def seen(self, utterance: str, revision: int, state: object) -> None:
        """Record the state shown under a revision; every subscriber must see the same."""
        if self.states.setdefault((utterance, revision), state) != state:
            self.violated(Kind.REUSED, f"{utterance} revision {revision}: two states")

    @property
    def kinds(self) -> set[Kind]:
        return {violation.kind for violation in self.violations}


def moment(value: datetime | None) -> str | None:
    """Return a time in a form that the database and GraphQL can be compared with."""
    return None if value is None else value.isoformat(" ", "microseconds")
