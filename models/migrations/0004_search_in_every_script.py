from tortoise import migrations
from tortoise.migrations import operations as ops

from models.sqlite.search import DROP_OLD, MAKE, UNDO, fill


class Migration(migrations.Migration):
    dependencies = [("models", "0003_places_by_time")]
    # Tortoise's own transaction would split the triggers; the whole run is one transaction.
    atomic = False

    operations = [
        ops.RunSQL([*DROP_OLD, *MAKE], reverse_sql=UNDO),
        ops.RunPython(fill, ops.RunPython.noop),
    ]
