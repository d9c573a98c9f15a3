"""One stretch of speech or one typed line, as the server holds it."""

from enum import StrEnum

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from hub.events import UtteranceState, content_of
from models import ids
from models.tables.session import Session


class Role(StrEnum):
    """Who said it."""

    USER = "USER"
    AGENT = "AGENT"


class UtteranceSource(StrEnum):
    """How the server came to know of it."""

    SPEECH = "SPEECH"
    TYPED = "TYPED"
    CLIENT_REPORTED = "CLIENT_REPORTED"


class Utterance(Model):
    """One row a (session, key); interim until `is_final`, which never goes back."""

    number = fields.BigIntField(primary_key=True)
    """Only for the search index, which needs an integer that survives VACUUM."""
    id = fields.CharField(max_length=ids.LENGTH, unique=True, default=ids.new_utterance)
    session: fields.ForeignKeyRelation[Session] = fields.ForeignKeyField(
        "models.Session", "utterances"
    )
    session_id: str
    key = fields.CharField(max_length=128)
    """The agent's segment, or the client's own key."""
    attempt = fields.IntField(null=True)
    """Which of the session's attempts told it first; null where no agent did."""
    began_at = fields.DatetimeField(null=True)
    """When it began, as that attempt first reported it, at most 5 s in the future. It placed it."""
    agent_revision = fields.BigIntField(null=True)
    """The agent's own count inside the segment; null where no agent wrote this row."""
    revision = fields.BigIntField()
    """The server's count, as clients see it."""
    ceiling = fields.BigIntField()
    """Interims may be published up to this revision without being written; commits go above it."""
    seq = fields.BigIntField()
    """The place of this row's newest committed change in its session."""
    role = fields.CharEnumField(Role, max_length=8)
    speaker = fields.CharField(max_length=128, null=True)
    source = fields.CharEnumField(UtteranceSource, max_length=16)
    text = fields.TextField()
    is_final = fields.BooleanField()
    is_interrupted = fields.BooleanField(default=False)
    sort_key = fields.TextField(db_default="")
    """Order inside the session, where it is unique; never changes (models.sort_keys)."""
    position = fields.FloatField()
    """The same as a number, as far as a float can tell two apart."""
    language = fields.CharField(max_length=35, null=True)
    confidence = fields.FloatField(null=True)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    awaits_agent = fields.BooleanField(default=False)
    """A typed line that no agent has acknowledged yet; handed over again on every welcome."""

    def state(self) -> UtteranceState:
        """Return it as clients see it."""
        return UtteranceState(
            *content_of(self),
            id=self.id,
            session_id=self.session_id,
            key=self.key,
            revision=self.revision,
            sort_key=self.sort_key,
            position=self.position,
        )

    class Meta:
        """Where the rows are kept, and how they are found."""

        table = "utterances"
        unique_together = (("session", "key"),)
        indexes = (
            Index(fields=("session_id", "seq"), name="utterances_replay"),
            Index(fields=("session_id", "sort_key"), name="utterances_order"),
        )
