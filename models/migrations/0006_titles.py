from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from models.openings import fill


class Migration(migrations.Migration):
    dependencies = [("models", "0005_sort_keys")]
    atomic = False

    operations = [
        ops.AddField(
            model_name="Session",
            name="opening",
            field=fields.CharField(null=True, max_length=200),
        ),
        ops.AddField(
            model_name="Session", name="opening_sort_key", field=fields.TextField(null=True)
        ),
        ops.RunPython(fill, ops.RunPython.noop),
    ]
