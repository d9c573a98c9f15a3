from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0002_search")]
    atomic = False

    operations = [
        ops.AddField(model_name="Utterance", name="attempt", field=fields.IntField(null=True)),
        ops.AddField(
            model_name="Utterance",
            name="began_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(model_name="Session", name="heard_attempt", field=fields.IntField(null=True)),
        ops.AddField(
            model_name="Session",
            name="heard_until",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
    ]
