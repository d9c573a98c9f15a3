"""What everybody did and was told, so that it can be held against what the server kept."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from agent_bridge.protocol import Utterance


class Kind(StrEnum):
    """What is wrong; each way to break a server has its own."""

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
    """One thing that must not be."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.what}"


@dataclass(slots=True)
class Spoken:
    """Everything that an agent said of one segment: by revision, and what became of the finals."""

    attempt: int
    said: dict[int, Utterance] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    """The revisions of finals that the server has promised to keep, and when (`time.time`)."""
    refused: dict[int, str] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Reported:
    """What a client said that its messages are, and whether it had an answer."""

    keys: list[str]
    created: dict[str, set[str]]
    """The texts that it gave to each key that may be its own."""
    is_answered: bool = False


@dataclass(slots=True)
class Conversation:
    """One session as those who took part in it know it."""

    id: str
    owner: str
    title: str | None = None
    """The newest that was acknowledged."""
    is_deleted: bool = False
    segments: dict[str, Spoken] = field(default_factory=dict)
    """In the order in which they began."""
    typed: dict[str, str] = field(default_factory=dict)
    """Lines whose keeping was acknowledged, by key."""
    typed_perhaps: dict[str, str] = field(default_factory=dict)
    reports: list[Reported] = field(default_factory=list)


class Journal:
    """Kept by the checker in one process; nothing in it comes from the server's database."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.started_keys: dict[str, str] = {}
        """Session ids by the idempotency keys under which they were begun."""
        self.forbidden: list[str] = []
        """Texts of which no trace may be found."""
        self.states: dict[tuple[str, int], object] = {}
        """What was seen under each (utterance, revision), by whomever."""
        self._changed = asyncio.Event()

    def conversation(self, session: str, owner: str) -> Conversation:
        return self.conversations.setdefault(session, Conversation(session, owner))

    def changed(self) -> None:
        """Wake whoever waits in `until`."""
        self._changed.set()

    async def until(self, condition: Callable[[], bool], within: float = 30.0) -> None:
        """Wait until something has happened that makes this true."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def acknowledged(self) -> list[tuple[float, str, int]]:
        """Return when each final was promised, its segment and its revision."""
        return [
            (when, segment, revision)
            for conversation in self.conversations.values()
            for segment, spoken in conversation.segments.items()
            for revision, when in spoken.acknowledged.items()
        ]

    def violated(self, kind: Kind, what: str) -> None:
        self.counts[f"violation {kind.name}"] += 1
        # A broken server breaks everything a thousand times: some examples of each are enough.
        if self.counts[f"violation {kind.name}"] <= 20:
            self.violations.append(Violation(kind, what))

    def seen(self, utterance: str, revision: int, state: object) -> None:
        """Note what somebody was shown under a revision; it must be the same for everybody."""
        if self.states.setdefault((utterance, revision), state) != state:
            self.violated(Kind.REUSED, f"{utterance} revision {revision}: two states")

    @property
    def kinds(self) -> set[Kind]:
        return {violation.kind for violation in self.violations}


def moment(value: datetime | None) -> str | None:
    """Return a time as both the database and GraphQL can be compared with it."""
    return None if value is None else value.isoformat(" ", "microseconds")
