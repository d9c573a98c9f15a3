"""The events that the hub carries: immutable plain values, so that they can be serialised.

Enum members are strings here, as they are in events from another process. Each event knows its
topics, so that emitters don't have to.
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
        """The topics to publish on; empty if nobody subscribes to such events."""
        return ()

    @property
    def is_for_all(self) -> bool:
        """Whether the readers of other processes get it too."""
        return True


# ---------------------------------------------------------------------- utterances


class UtteranceContent(msgspec.Struct, frozen=True):
    """What was said or typed. The field names match the columns of `models.tables.Utterance`."""

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
"""Returns the `CONTENT` values of a row, change or state, in order."""


class UtteranceState(UtteranceContent, frozen=True, kw_only=True):
    """An utterance as clients see it."""

    id: str
    session_id: str
    key: str
    revision: int
    sort_key: str
    position: float


class InterimHeard(Event, frozen=True):
    """The newest state of an unfinished utterance, published before it is stored."""

    utterance: UtteranceState
    heard_at: float | None = None
    """`time.perf_counter()` when its frame arrived; None when it is published again."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.utterance.session_id),)

    @property
    def coalesce_key(self) -> str:
        """The utterance's id: a reader only needs its newest interim."""
        return self.utterance.id

    @property
    def order(self) -> int:
        """The revision: of two events with one coalescing key, the higher one stays."""
        return self.utterance.revision

    @property
    def weight(self) -> int:
        """Characters of text."""
        return len(self.utterance.text)


class TranscriptCommitted(Event, frozen=True):
    """One transaction's changes to one session's utterances, seqs `first_seq` to `last_seq`.

    `utterances` is None if there are too many for one event; readers then fetch them from the
    database, page by page.
    """

    session_id: str
    first_seq: int
    last_seq: int
    utterances: tuple[tuple[int, UtteranceState], ...] | None
    heard_at: float | None = None
    """`time.perf_counter()` when its first frame arrived; None if no agent reported it."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.session_id),)

    @property
    def weight(self) -> int:
        """Characters of text."""
        return sum(len(state.text) for _, state in self.utterances or ())

    @property
    def progress(self) -> int:
        """The newest seq. If the database has a higher one, readers have missed an event."""
        return self.last_seq


class TranscriptEnded(Event, frozen=True):
    """A session's transcript stream has ended; `reason` is a StreamEndReason.

    It may arrive before the last changes, if another process has committed them.
    """

    session_id: str
    reason: str
    last_seq: int = 0
    """The session's newest seq at that time; 0 if no event can be missing."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (transcripts_topic(self.session_id),)

    @property
    def is_urgent(self) -> bool:
        """Whether the session was deleted: queued events must then not be delivered."""
        return self.reason == "SESSION_DELETED"


# ---------------------------------------------------------------------- sessions


class SessionState(msgspec.Struct, frozen=True):
    """A session as clients see it; the attributes are those of `models.tables.Session`."""

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
    agent_at: int | None = None
    """The number of the process to which its agent is connected; clients do not see it."""


class SessionChanged(Event, frozen=True):
    """A session's committed state; None if only its volatile agent state changed."""

    session_id: str
    user_id: str | None
    """The owner; None if this process doesn't know it yet."""
    session: SessionState | None
    is_new_to_user: bool = False
    """Whether it has just become this user's: its former owner may still watch the session."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        if self.is_new_to_user and self.user_id is not None:
            return (user_topic(self.user_id),)
        return _topics_of_session(self.session_id, self.user_id)

    @property
    def coalesce_key(self) -> str:
        """The session's id: a reader only needs its newest state."""
        return self.session_id

    @property
    def progress(self) -> int:
        """The session's version, as `TranscriptCommitted.progress`; 0 if it has not changed."""
        return 0 if self.session is None else self.session.version

    @property
    def order(self) -> int:
        """The same, as `InterimHeard.order`; an agent's state is read when the event is sent."""
        return self.progress


class SessionDeleted(Event, frozen=True):
    """A session was deleted."""

    session_id: str
    user_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return _topics_of_session(self.session_id, self.user_id)


class SessionMoved(Event, frozen=True):
    """A session was moved to another user; its former owner no longer sees it."""

    session_id: str
    from_user_id: str
    to_user_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (user_topic(self.from_user_id),)


class SessionOver(Event, frozen=True):
    """A session is ENDED or was deleted: its media ends, and this process forgets it."""

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
    """Whether this is an automatic retry. A refusal then fails nothing: while there is time, the
    agent is requested again."""


# ---------------------------------------------------------------------- to a session's agent


class Fence(msgspec.Struct, frozen=True, tag=True):
    """A connection arrived or an attempt began; older connections are no longer current.

    Connections of older attempts drain, then close. Other connections of the same attempt close at
    once. An empty `connection` fences older attempts only.
    """

    attempt: int
    connection: str = ""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The agent must finish; `reason` is an EndReason."""

    reason: str


class Input(msgspec.Struct, frozen=True, tag=True):
    """The person typed a line for the agent to answer. Its representation hides the text."""

    key: str
    text: str

    def __repr__(self) -> str:
        return f"Input(key={self.key!r})"


class Gone(msgspec.Struct, frozen=True, tag=True):
    """The session was deleted; its agent's connection closes."""


Command = Fence | Stop | Input | Gone


class AgentCommanded(Event, frozen=True):
    """A command for a session's agent, in whichever process it is connected."""

    session_id: str
    command: Command

    @property
    def is_for_all(self) -> bool:
        """See `Event.is_for_all`: connections of one attempt are ordered in one process only."""
        return not (isinstance(self.command, Fence) and self.command.connection)

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
    def is_for_all(self) -> bool:
        """See `Event.is_for_all`."""
        return False

    @property
    def is_urgent(self) -> bool:
        """True: there is no time to deliver queued events; the next process replays them."""
        return True


class AccessRevoked(Event, frozen=True):
    """A login or token was revoked or has expired; the streams it opened end."""

    access_id: str

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (access_topic(self.access_id),)

    @property
    def is_urgent(self) -> bool:
        """True: the reader has lost access, so queued events must not be delivered."""
        return True


class OwnershipLost(Event, frozen=True):
    """A session was moved to another user; its former owner's streams of it end."""

    session_id: str
    user_id: str
    """The former owner."""

    @property
    def topics(self) -> tuple[str, ...]:
        """See `Event.topics`."""
        return (ownership_topic(self.session_id, self.user_id),)

    @property
    def is_urgent(self) -> bool:
        """True: queued events may already belong to the new owner."""
        return True


# ---------------------------------------------------------------------- topics

SERVER_TOPIC: Final = "server"
ACCESS_PREFIX: Final = "access:"
OWNERSHIP_PREFIX: Final = "ownership:"
TRANSCRIPTS_PREFIX: Final = "transcripts:"
SESSION_PREFIX: Final = "session:"
USER_PREFIX: Final = "user:"
AGENT_PREFIX: Final = "agent:"


def transcripts_topic(session_id: str) -> str:
    """Return the topic of a session's utterances and of the end of its transcript."""
    return TRANSCRIPTS_PREFIX + session_id


def session_topic(session_id: str) -> str:
    """Return the topic of changes to a session."""
    return SESSION_PREFIX + session_id


def user_topic(user_id: str) -> str:
    """Return the topic of changes to any of a user's sessions."""
    return USER_PREFIX + user_id


def _topics_of_session(session_id: str, user_id: str | None) -> tuple[str, ...]:
    own = session_topic(session_id)
    return (own,) if user_id is None else (own, user_topic(user_id))


def access_topic(credential_id: str) -> str:
    """Return the topic that announces the end of a login or API token."""
    return ACCESS_PREFIX + credential_id


def watched_access(topic: str) -> str:
    """Return the credential id in a topic made by `access_topic`."""
    return topic.removeprefix(ACCESS_PREFIX)


def ownership_topic(session_id: str, user_id: str) -> str:
    """Return the topic that tells a user that a session is no longer theirs."""
    return f"{OWNERSHIP_PREFIX}{session_id}:{user_id}"


def watched_ownership(topic: str) -> tuple[str, str]:
    """Return the session id and user id in a topic made by `ownership_topic`."""
    session_id, _, user_id = topic.removeprefix(OWNERSHIP_PREFIX).partition(":")
    return session_id, user_id


def agent_topic(session_id: str) -> str:
    """Return the topic of commands to a session's agent."""
    return AGENT_PREFIX + session_id
