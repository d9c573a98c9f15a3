"""Utterances: stretches of speech and typed lines, as the server stores them."""

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
    """How the server learned of it."""

    SPEECH = "SPEECH"
    TYPED = "TYPED"
    CLIENT_REPORTED = "CLIENT_REPORTED"


class Utterance(Model):
    """One row a (session, key); interim until `is_final`, which never goes back."""

    number = fields.BigIntField(primary_key=True)
    """Used only by the search index, which needs an integer that survives VACUUM."""
    id = fields.CharField(max_length=ids.LENGTH, unique=True, default=ids.new_utterance)
    session: fields.ForeignKeyRelation[Session] = fields.ForeignKeyField(
        "models.Session", "utterances"
    )
    session_id: str
    key = fields.CharField(max_length=128)
    """The agent's segment, or the client's own key."""
    attempt = fields.IntField(null=True)
    """The session's attempt that first reported it; null if no agent did."""
    began_at = fields.DatetimeField(null=True)
    """When it began, as that attempt first reported it, at most 5 s in the future; decides its
    place."""
    agent_revision = fields.BigIntField(null=True)
    """The agent's own revision within the segment; null if no agent wrote this row."""
    revision = fields.BigIntField()
    """The server's revision, as clients see it."""
    ceiling = fields.BigIntField()
    """Interims may be published up to this revision without being stored; commits go above it."""
    seq = fields.BigIntField()
    """The number of this row's newest committed change within its session."""
    role = fields.CharEnumField(Role, max_length=8)
    speaker = fields.CharField(max_length=128, null=True)
    source = fields.CharEnumField(UtteranceSource, max_length=16)
    text = fields.TextField()
    is_final = fields.BooleanField()
    is_interrupted = fields.BooleanField(default=False)
    sort_key = fields.TextField(db_default="")
    """Order within the session, where it is unique; never changes (models.sort_keys)."""
    position = fields.FloatField()
    """The sort key as a number, within float precision."""
    language = fields.CharField(max_length=35, null=True)
    confidence = fields.FloatField(null=True)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    awaits_agent = fields.BooleanField(default=False)
    """Whether this is a typed line that no agent acknowledged yet; every welcome sends it again."""

    def state(self) -> UtteranceState:
        """Return the utterance as clients see it."""
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
        """The table's name, unique constraint and indexes."""

        table = "utterances"
        unique_together = (("session", "key"),)
        indexes = (
            Index(fields=("session_id", "seq"), name="utterances_replay"),
            Index(fields=("session_id", "sort_key"), name="utterances_order"),
        )
