from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0006_titles")]
    atomic = False

    operations = [
        ops.AddField(model_name="Session", name="tell_by", field=fields.DatetimeField(null=True)),
        ops.AddField(model_name="Session", name="purge_by", field=fields.DatetimeField(null=True)),
        # Tombstones used the columns of living sessions.
        ops.RunSQL(
            "UPDATE sessions SET tell_by = drain_by, purge_by = retry_by, "
            "drain_by = NULL, retry_by = NULL WHERE deleted_at IS NOT NULL",
            reverse_sql="UPDATE sessions SET drain_by = tell_by, retry_by = purge_by "
            "WHERE deleted_at IS NOT NULL",
        ),
    ]
