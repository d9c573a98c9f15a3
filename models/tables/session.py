"""Conversations."""

from enum import StrEnum
from operator import attrgetter

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from hub.events import SessionState
from models import ids
from models.tables.user import User
from models.titles import NEW_CONVERSATION

_state = attrgetter(*SessionState.__struct_fields__)


class SessionStatus(StrEnum):
    """The stage of a conversation; only ENDED is final."""

    STARTING = "STARTING"
    ACTIVE = "ACTIVE"
    FAILED = "FAILED"
    ENDING = "ENDING"
    ENDED = "ENDED"


class EndReason(StrEnum):
    """Why a conversation ended."""

    SAVED = "SAVED"
    AGENT_LEFT = "AGENT_LEFT"
    ABANDONED = "ABANDONED"
    START_FAILED = "START_FAILED"


class Session(Model):
    """One conversation, its counters, and the deadlines that the reaper watches."""

    id = fields.CharField(max_length=ids.LENGTH, primary_key=True, default=ids.new_session)
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", "sessions")
    user_id: str
    title = fields.CharField(max_length=200, default=NEW_CONVERSATION)
    """The name a user gave it; the default means it has none."""
    status = fields.CharEnumField(SessionStatus, max_length=16, default=SessionStatus.STARTING)
    agent_name = fields.CharField(max_length=128)
    failure_code = fields.CharField(max_length=32, null=True)
    failure_message: str | None = fields.TextField(null=True)
    created_at = fields.DatetimeField()
    started_at = fields.DatetimeField(null=True)
    ended_at = fields.DatetimeField(null=True)
    end_reason = fields.CharEnumField(EndReason, max_length=16, null=True)
    utterance_count = fields.IntField(default=0)
    preview = fields.CharField(max_length=200, null=True)
    preview_sort_key: str | None = fields.TextField(null=True)
    """Sort key of the utterance in the preview; an utterance that sorts before it replaces it."""
    opening = fields.CharField(max_length=200, null=True)
    """The person's first final words: the title of a session without a name."""
    opening_sort_key: str | None = fields.TextField(null=True)
    """Sort key of the utterance in the opening; an utterance that sorts before it replaces it."""
    version = fields.IntField(default=1)
    """Counts the committed changes to what clients see of this row."""
    last_seq = fields.BigIntField(default=0)
    """The newest transcript seq; the next is allocated under this row's lock."""
    room_name = fields.CharField(max_length=64, unique=True)
    attempt = fields.IntField(default=0)
    """Counts the requests for an agent; an agent of an older attempt is fenced off."""

    heard_attempt = fields.IntField(null=True)
    """The newest attempt that reported utterances."""
    heard_until = fields.DatetimeField(null=True)
    """The latest `began_at` of that attempt's utterances; one that began earlier sorts between
    them."""

    held_by = fields.IntField(null=True)
    """The number of the process that may publish its interims: its agent last said hello there, or
    that process has taken the session over."""
    agent_at = fields.IntField(null=True)
    """The number of the process to which its agent is connected; null if it has none."""

    # Deadlines: when the reaper acts; null while there is nothing to wait for.
    start_by = fields.DatetimeField(null=True)
    """STARTING becomes FAILED."""
    retry_by = fields.DatetimeField(null=True)
    """FAILED becomes ENDED."""
    drain_by = fields.DatetimeField(null=True)
    """ENDING becomes ENDED."""
    agent_retry_by = fields.DatetimeField(null=True)
    """A lost agent gets its one automatic new attempt."""
    agent_back_by = fields.DatetimeField(null=True)
    """The session ends as ABANDONED if it has no agent by then."""
    person_back_by = fields.DatetimeField(null=True)
    """The session ends as ABANDONED without the person's media or a typed line by then."""

    # Deadlines of a tombstone.
    tell_by = fields.DatetimeField(null=True)
    """The participants are told of the deletion."""
    purge_by = fields.DatetimeField(null=True)
    """More of its utterances are deleted."""

    deleted_at = fields.DatetimeField(null=True)
    """Set for a tombstone: nobody can read it, and what its agent still sends is refused."""

    @property
    def shown_title(self) -> str:
        """The title shown to people: the given name, else the first words."""
        return (self.title == NEW_CONVERSATION and self.opening) or self.title

    def state(self) -> SessionState:
        """Return the session as clients see it."""
        return SessionState(*_state(self))

    class Meta:
        """The table's name and indexes."""

        table = "sessions"
        indexes = (
            Index(fields=("user_id", "created_at", "id"), name="sessions_history"),
            Index(fields=("status",), name="sessions_status"),
        )
