from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

from models.migrating import Only
from models.postgres import search as text_search
from models.postgres.collation import compare_bytes
from models.sqlite.search import DROP_OLD, MAKE, UNDO, fill


async def prepare(_apps: object, editor: Any) -> None:
    """Set the collation before triggers name the columns."""
    await compare_bytes(editor.client)


class Migration(migrations.Migration):
    dependencies = [("models", "0003_places_by_time")]
    # Tortoise's own transaction would split the triggers; the whole run is one transaction.
    atomic = False

    operations = [
        Only("sqlite", ops.RunSQL([*DROP_OLD, *MAKE], reverse_sql=UNDO)),
        Only("sqlite", ops.RunPython(fill, ops.RunPython.noop)),
        Only("postgres", ops.RunPython(prepare, ops.RunPython.noop)),
        # PostgreSQL came after this migration, so there is nothing to index yet.
        Only("postgres", ops.RunSQL([*text_search.MAKE], reverse_sql=text_search.UNDO)),
    ]
