"""What the hub carries: immutable events that hold values alone, so that each can be sent.

Members of enumerations are text here, as they are in what another process sent. An event knows its
topics, so those who emit it need not.
"""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import msgspec


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something that happened."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics on which it travels; none for what concerns this process alone."""
        return ()


# ---------------------------------------------------------------------- utterances


class UtteranceContent(msgspec.Struct, frozen=True):
    """What was said or typed. The names are also those of the columns of `models.Utterance`."""

    role: str
    source: str
    text: str
    is_final: bool
    started_at: datetime
    ended_at: datetime | None = None
    is_interrupted: bool = False
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None


CONTENT: Final = UtteranceContent.__struct_fields__

content_of: Final[Callable[[Any], tuple[Any, ...]]] = attrgetter(*CONTENT)
"""Returns the content of a row, a change or a state, in the order of `CONTENT`."""


class UtteranceState(UtteranceContent, frozen=True, kw_only=True):
    """One utterance as clients see it."""

    id: str
    session_id: str
    key: str
    revision: int
    sort_key: str
    position: float


class InterimHeard(Event, frozen=True):
    """Published without being written: the newest state of an utterance that may still change."""

    utterance: UtteranceState
    heard_at: float | None = None
    """`time.perf_counter()` of when its frame came in; None where it is told again."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.utterance.session_id),)

    @property
    def coalesce_key(self) -> str:
        """Only the newest interim of one utterance is worth waiting for."""
        return self.utterance.id

    @property
    def weight(self) -> int:
        """Characters of text."""
        return len(self.utterance.text)


class TranscriptCommitted(Event, frozen=True):
    """One transaction's changes of one session's utterances, seqs `first_seq` to `last_seq`.

    `utterances` is None where there were too many to carry about: readers take them from the
    database, page by page.
    """

    session_id: str
    first_seq: int
    last_seq: int
    utterances: tuple[tuple[int, UtteranceState], ...] | None
    heard_at: float | None = None
    """`time.perf_counter()` of the first frame in it; None where no agent said it."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.session_id),)

    @property
    def weight(self) -> int:
        """Characters of text."""
        return sum(len(state.text) for _, state in self.utterances or ())


class TranscriptEnded(Event, frozen=True):
    """Nothing follows on a session's transcript stream, for this reason (a StreamEndReason)."""

    session_id: str
    reason: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.session_id),)

    @property
    def is_urgent(self) -> bool:
        """What was deleted is not delivered any more, whatever of it waits."""
        return self.reason == "SESSION_DELETED"


# ---------------------------------------------------------------------- sessions


class SessionState(msgspec.Struct, frozen=True):
    """A session as clients see it; the attributes are those of `models.Session`."""

    id: str
    user_id: str
    shown_title: str
    status: str
    agent_name: str
    failure_code: str | None
    failure_message: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    utterance_count: int
    preview: str | None
    version: int
    last_seq: int


class SessionChanged(Event, frozen=True):
    """A session as it was committed; None where only its volatile agent state changed."""

    session_id: str
    user_id: str | None
    """Whose it is; None where nobody here knows yet."""
    session: SessionState | None

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return _topics_of_session(self.session_id, self.user_id)

    @property
    def coalesce_key(self) -> str:
        """Only the newest state of a session is worth waiting for."""
        return self.session_id


class SessionDeleted(Event, frozen=True):
    """A session that is gone."""

    session_id: str
    user_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return _topics_of_session(self.session_id, self.user_id)


class SessionMoved(Event, frozen=True):
    """A session has become another user's: its former owner sees it no more."""

    session_id: str
    from_user_id: str
    to_user_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (user_topic(self.from_user_id),)


class SessionOver(Event, frozen=True):
    """A session is ENDED or was deleted: its media ends, and nobody here needs to know of it."""

    session_id: str
    room_name: str


class AgentWanted(Event, frozen=True):
    """A new attempt to get an agent was committed."""

    session_id: str
    user_id: str
    attempt: int
    agent_name: str
    room_name: str
    is_repeated: bool = False
    """Whether it is asked for once more, by itself: then nothing fails, for as long as there is
    time somebody asks again."""


# ---------------------------------------------------------------------- to a session's agent


class Fence(msgspec.Struct, frozen=True, tag=True):
    """A connection has come, or an attempt has begun: what is older is not current any more.

    Connections of an older attempt drain and go; so do, at once, those of the same attempt but for
    `connection`. An empty `connection` fences the older attempts only.
    """

    attempt: int
    connection: str = ""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The agent is to finish, for this reason (an EndReason)."""

    reason: str


class Input(msgspec.Struct, frozen=True, tag=True):
    """The person typed a line that the agent is to answer."""

    key: str
    text: str


class Gone(msgspec.Struct, frozen=True, tag=True):
    """The session has been deleted: its agent's connection is closed."""


Command = Fence | Stop | Input | Gone


class AgentCommanded(Event, frozen=True):
    """Something for the agent of a session, in whichever process it is connected."""

    session_id: str
    command: Command

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (agent_topic(self.session_id),)


# ---------------------------------------------------------------------- ends of streams


class ServerStopping(Event, frozen=True):
    """This process is about to stop; streams end now so that clients reconnect in time."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (SERVER_TOPIC,)

    @property
    def is_urgent(self) -> bool:
        """There is no time to deliver what waits; it is replayed by the next process."""
        return True


class AccessRevoked(Event, frozen=True):
    """A login or token was revoked or has expired: the streams that it opened end."""

    access_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (access_topic(self.access_id),)

    @property
    def is_urgent(self) -> bool:
        """What waits must not be delivered: the reader may not see it any more."""
        return True


class OwnershipLost(Event, frozen=True):
    """A session has become another user's: the streams end that its former owner watches it by."""

    session_id: str
    user_id: str
    """The former owner."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (ownership_topic(self.session_id, self.user_id),)

    @property
    def is_urgent(self) -> bool:
        """What waits may already be the new owner's."""
        return True


# ---------------------------------------------------------------------- topics

SERVER_TOPIC: Final = "server"
ACCESS_PREFIX: Final = "access:"
OWNERSHIP_PREFIX: Final = "ownership:"


def transcripts_topic(session_id: str) -> str:
    """Name the topic of one session's words, and of their end."""
    return f"transcripts:{session_id}"


def session_topic(session_id: str) -> str:
    """Name the topic of one session's changes."""
    return f"session:{session_id}"


def user_topic(user_id: str) -> str:
    """Name the topic of the changes of all of a user's sessions."""
    return f"user:{user_id}"


def _topics_of_session(session_id: str, user_id: str | None) -> tuple[str, ...]:
    own = session_topic(session_id)
    return (own,) if user_id is None else (own, user_topic(user_id))


def access_topic(credential_id: str) -> str:
    """Name the topic of a login's or an API token's end."""
    return ACCESS_PREFIX + credential_id


def watched_access(topic: str) -> str:
    """Return whose access a topic made by `access_topic` is about."""
    return topic.removeprefix(ACCESS_PREFIX)


def ownership_topic(session_id: str, user_id: str) -> str:
    """Name the topic on which this user hears that a session is no longer theirs."""
    return f"{OWNERSHIP_PREFIX}{session_id}:{user_id}"


def watched_ownership(topic: str) -> tuple[str, str]:
    """Return whose session, by both ids, a topic made by `ownership_topic` is about."""
    session_id, _, user_id = topic.removeprefix(OWNERSHIP_PREFIX).partition(":")
    return session_id, user_id


def agent_topic(session_id: str) -> str:
    """Name the topic of what a session's agent is to do."""
    return f"agent:{session_id}"
