from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0007_tombstone_deadlines")]
    atomic = False

    operations = [
        ops.AddField(model_name="Session", name="held_by", field=fields.IntField(null=True)),
        ops.AddField(model_name="Session", name="agent_at", field=fields.IntField(null=True)),
    ]
