"""The events that a commit publishes: small and immutable."""

from dataclasses import dataclass
from datetime import datetime

from models import Role, Session, Utterance, UtteranceSource


@dataclass(frozen=True, slots=True)
class UtteranceState:
    """One utterance as clients see it; the attributes are those of `models.Utterance`."""

    id: str
    session_id: str
    key: str
    revision: int
    role: Role
    speaker: str | None
    source: UtteranceSource
    text: str
    is_final: bool
    is_interrupted: bool
    sort_key: str
    position: float
    language: str | None
    confidence: float | None
    started_at: datetime
    ended_at: datetime | None


def state_of(row: Utterance) -> UtteranceState:
    """Take the state out of a row."""
    return UtteranceState(
        row.id,
        row.session_id,
        row.key,
        row.revision,
        row.role,
        row.speaker,
        row.source,
        row.text,
        row.is_final,
        row.is_interrupted,
        row.sort_key,
        row.position,
        row.language,
        row.confidence,
        row.started_at,
        row.ended_at,
    )


@dataclass(frozen=True, slots=True)
class InterimHeard:
    """Published without being written: the newest state of an utterance that may still change."""

    utterance: UtteranceState
    heard_at: float | None = None
    """`time.perf_counter()` of when its frame came in; None where it is told again."""

    @property
    def coalesce_key(self) -> str:
        """Only the newest interim of one utterance is worth waiting for."""
        return self.utterance.id

    @property
    def weight(self) -> int:
        """Characters of text."""
        return len(self.utterance.text)


@dataclass(frozen=True, slots=True)
class TranscriptCommitted:
    """One transaction's changes of one session's utterances, seqs `first_seq` to `last_seq`.

    `utterances` is None where there were too many to carry about: readers take them from the
    database, page by page.
    """

    first_seq: int
    last_seq: int
    utterances: tuple[tuple[int, UtteranceState], ...] | None
    heard_at: float | None = None
    """`time.perf_counter()` of the first frame in it; None where no agent said it."""

    @property
    def weight(self) -> int:
        """Characters of text."""
        return sum(len(state.text) for _, state in self.utterances or ())


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session as it was committed; None where only its volatile agent state changed."""

    session_id: str
    session: Session | None

    @property
    def coalesce_key(self) -> str:
        """Only the newest state of a session is worth waiting for."""
        return self.session_id


@dataclass(frozen=True, slots=True)
class SessionDeleted:
    """A session that is gone."""

    session_id: str


@dataclass(frozen=True, slots=True)
class TranscriptEnded:
    """Nothing follows on a session's transcript stream, for this reason (a StreamEndReason)."""

    reason: str

    @property
    def is_urgent(self) -> bool:
        """What was deleted is not delivered any more, whatever of it waits."""
        return self.reason == "SESSION_DELETED"


@dataclass(frozen=True, slots=True)
class ServerStopping:
    """This process is about to stop; streams end now so that clients reconnect in time."""

    @property
    def is_urgent(self) -> bool:
        """There is no time to deliver what waits; it is replayed by the next process."""
        return True


@dataclass(frozen=True, slots=True)
class AccessRevoked:
    """A login or token was revoked or has expired: the streams that it opened end."""

    access_id: str

    @property
    def is_urgent(self) -> bool:
        """What waits must not be delivered: the reader may not see it any more."""
        return True


@dataclass(frozen=True, slots=True)
class OwnershipLost:
    """A session has become another user's: the streams end that its former owner watches it by."""

    session_id: str

    @property
    def is_urgent(self) -> bool:
        """What waits may already be the new owner's."""
        return True


SERVER_TOPIC = "server"
ACCESS_PREFIX = "access:"
OWNERSHIP_PREFIX = "ownership:"


def transcripts_topic(session_id: str) -> str:
    """Where InterimHeard and TranscriptCommitted travel, and the session's end."""
    return f"transcripts:{session_id}"


def session_topic(session_id: str) -> str:
    """Where SessionChanged and SessionDeleted of one session travel."""
    return f"session:{session_id}"


def user_topic(user_id: str) -> str:
    """Where SessionChanged and SessionDeleted of all of a user's sessions travel."""
    return f"user:{user_id}"


def access_topic(credential_id: str) -> str:
    """Where AccessRevoked of a login or an API token travels."""
    return ACCESS_PREFIX + credential_id


def watched_access(topic: str) -> str:
    """Return whose access a topic made by `access_topic` is about."""
    return topic.removeprefix(ACCESS_PREFIX)


def ownership_topic(session_id: str, user_id: str) -> str:
    """Where OwnershipLost travels, to those who watch a session as this user's."""
    return f"{OWNERSHIP_PREFIX}{session_id}:{user_id}"


def watched_ownership(topic: str) -> tuple[str, str]:
    """Return whose session, by both ids, a topic made by `ownership_topic` is about."""
    session_id, _, user_id = topic.removeprefix(OWNERSHIP_PREFIX).partition(":")
    return session_id, user_id


def agent_topic(session_id: str) -> str:
    """Where commands to a session's agent travel (agent_bridge/server/commands.py)."""
    return f"agent:{session_id}"
