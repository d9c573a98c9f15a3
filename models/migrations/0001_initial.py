import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models.ids import new_api_token, new_login, new_session, new_user, new_utterance
from models.tables.session import EndReason, SessionStatus
from models.tables.utterance import Role, UtteranceSource


class Migration(migrations.Migration):
    initial = True
    atomic = False

    operations = [
        ops.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    fields.CharField(
                        primary_key=True,
                        default=new_user,
                        unique=True,
                        db_index=True,
                        max_length=30,
                    ),
                ),
                ("email", fields.CharField(null=True, unique=True, max_length=254)),
                ("password_hash", fields.CharField(null=True, max_length=255)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "users",
                "app": "models",
                "pk_attr": "id",
                "table_description": "One account; a guest is a row without an e-mail and keeps it when signing up.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    fields.CharField(
                        primary_key=True,
                        default=new_api_token,
                        unique=True,
                        db_index=True,
                        max_length=30,
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="api_tokens",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("name", fields.CharField(max_length=200)),
                ("secret_hash", fields.CharField(unique=True, max_length=64)),
                ("prefix", fields.CharField(max_length=16)),
                (
                    "scopes",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                (
                    "last_used_at",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "api_tokens",
                "app": "models",
                "indexes": [Index(fields=["user_id", "created_at", "id"], name="api_tokens_list")],
                "pk_attr": "id",
                "table_description": "One `vox_…` secret; shown once, kept as its SHA-256, gone when revoked.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="IdempotencyRecord",
            fields=[
                (
                    "number",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="idempotency_records",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("key", fields.CharField(max_length=128)),
                ("request_hash", fields.CharField(max_length=64)),
                (
                    "outcome",
                    fields.JSONField(
                        encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "idempotency_records",
                "app": "models",
                "unique_together": (("user", "key"),),
                "pk_attr": "number",
                "table_description": "One key of one user, written in the transaction whose effect it stands for.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Login",
            fields=[
                (
                    "id",
                    fields.CharField(
                        primary_key=True,
                        default=new_login,
                        unique=True,
                        db_index=True,
                        max_length=30,
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="logins",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("secret_hash", fields.CharField(unique=True, max_length=64)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("expires_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "logins",
                "app": "models",
                "indexes": [Index(fields=["user_id"], name="logins_user")],
                "pk_attr": "id",
                "table_description": "One cookie; only the SHA-256 of its secret is kept, so a stolen database signs nobody in.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Session",
            fields=[
                (
                    "id",
                    fields.CharField(
                        primary_key=True,
                        default=new_session,
                        unique=True,
                        db_index=True,
                        max_length=30,
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "models.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="sessions",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("title", fields.CharField(default="New Conversation", max_length=200)),
                (
                    "status",
                    fields.CharEnumField(
                        default=SessionStatus.STARTING,
                        description="STARTING: STARTING\nACTIVE: ACTIVE\nFAILED: FAILED\nENDING: ENDING\nENDED: ENDED",
                        enum_type=SessionStatus,
                        max_length=16,
                    ),
                ),
                ("agent_name", fields.CharField(max_length=128)),
                ("failure_code", fields.CharField(null=True, max_length=32)),
                ("failure_message", fields.TextField(null=True, unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("started_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                (
                    "end_reason",
                    fields.CharEnumField(
                        null=True,
                        description="SAVED: SAVED\nAGENT_LEFT: AGENT_LEFT\nABANDONED: ABANDONED\nSTART_FAILED: START_FAILED",
                        enum_type=EndReason,
                        max_length=16,
                    ),
                ),
                ("utterance_count", fields.IntField(default=0)),
                ("preview", fields.CharField(null=True, max_length=200)),
                ("preview_position", fields.FloatField(null=True)),
                ("version", fields.IntField(default=1)),
                ("last_seq", fields.BigIntField(default=0)),
                ("room_name", fields.CharField(unique=True, max_length=64)),
                ("attempt", fields.IntField(default=0)),
                ("start_by", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("retry_by", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("drain_by", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                (
                    "agent_retry_by",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                (
                    "agent_back_by",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                (
                    "person_back_by",
                    fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
                ),
                ("deleted_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "sessions",
                "app": "models",
                "indexes": [
                    Index(fields=["user_id", "created_at", "id"], name="sessions_history"),
                    Index(fields=["status"], name="sessions_status"),
                ],
                "pk_attr": "id",
                "table_description": "One conversation, its counters, and the deadlines that the reaper watches.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Utterance",
            fields=[
                (
                    "number",
                    fields.BigIntField(
                        generated=True, primary_key=True, unique=True, db_index=True
                    ),
                ),
                ("id", fields.CharField(default=new_utterance, unique=True, max_length=30)),
                (
                    "session",
                    fields.ForeignKeyField(
                        "models.Session",
                        source_field="session_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="utterances",
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("key", fields.CharField(max_length=128)),
                ("agent_revision", fields.BigIntField(null=True)),
                ("revision", fields.BigIntField()),
                ("ceiling", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                (
                    "role",
                    fields.CharEnumField(
                        description="USER: USER\nAGENT: AGENT", enum_type=Role, max_length=8
                    ),
                ),
                ("speaker", fields.CharField(null=True, max_length=128)),
                (
                    "source",
                    fields.CharEnumField(
                        description="SPEECH: SPEECH\nTYPED: TYPED\nCLIENT_REPORTED: CLIENT_REPORTED",
                        enum_type=UtteranceSource,
                        max_length=16,
                    ),
                ),
                ("text", fields.TextField(unique=False)),
                ("is_final", fields.BooleanField()),
                ("is_interrupted", fields.BooleanField(default=False)),
                ("position", fields.FloatField()),
                ("language", fields.CharField(null=True, max_length=35)),
                ("confidence", fields.FloatField(null=True)),
                ("started_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("awaits_agent", fields.BooleanField(default=False)),
            ],
            options={
                "table": "utterances",
                "app": "models",
                "unique_together": (("session", "key"),),
                "indexes": [
                    Index(fields=["session_id", "seq"], name="utterances_replay"),
                    Index(fields=["session_id", "position", "id"], name="utterances_order"),
                ],
                "pk_attr": "number",
                "table_description": "One row a (session, key); interim until `is_final`, which never goes back.",
            },
            bases=["Model"],
        ),
    ]
