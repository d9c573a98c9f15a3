import math
import time
from typing import Any

import structlog
from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models import sort_keys

log = structlog.get_logger(__name__)

AT_ONCE = 10_000
"""Utterances per batch, between two checks of the time."""
TOLD_EVERY_S = 2.0

# Follows the old index, which has the order so far.
_NEXT = """
SELECT number, session_id, position, id FROM utterances
WHERE (session_id, position, id) > (?, ?, ?) ORDER BY session_id, position, id LIMIT ?"""
_PREVIEWS = """
UPDATE sessions SET preview_sort_key = (
    SELECT sort_key FROM utterances
    WHERE session_id = sessions.id AND position = preview_position ORDER BY id LIMIT 1
) WHERE preview_position IS NOT NULL"""


class DropColumn(ops.RemoveField):
    """Removes a field by SQL; Tortoise would rebuild the table and lose its indexes."""

    async def database_forward(
        self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None
    ) -> None:
        """Drop the column."""
        if state_editor:
            table = old_state.apps.get_model(f"{app_label}.{self.model_name}")._meta.db_table
            await state_editor.client.execute_query(f"ALTER TABLE {table} DROP COLUMN {self.name}")


def _bound(position: float) -> str:
    """Return a key above the position's that still rounds to it."""
    key, above = sort_keys.key_of(position), sort_keys.key_of(math.nextafter(position, math.inf))
    return sort_keys.between(key, above, 3)[0]


async def fill(_apps: object, editor: Any) -> None:
    """Give every utterance the key of its position; order equal positions by id."""
    conn = editor.client
    [found] = await conn.execute_query_dict("SELECT count(*) AS number FROM utterances")
    count, done, told_at = found["number"], 0, time.monotonic()
    place, key = ("", -math.inf, ""), ""
    while rows := await conn.execute_query_dict(_NEXT, [*place, AT_ONCE]):
        values = []
        for row in rows:
            position = row["position"]
            if (row["session_id"], position) == place[:2]:
                [key] = sort_keys.between(key, _bound(position))
            else:
                key = sort_keys.key_of(position)
            place = (row["session_id"], position, row["id"])
            values.append([key, row["number"]])
        await conn.execute_many("UPDATE utterances SET sort_key = ? WHERE number = ?", values)
        done += len(rows)
        if time.monotonic() - told_at > TOLD_EVERY_S or done == count > AT_ONCE:
            told_at = time.monotonic()
            log.info("utterances_get_sort_keys", done=done, of=count)
    await conn.execute_query(_PREVIEWS)


class Migration(migrations.Migration):
    dependencies = [("models", "0004_search_in_every_script")]
    atomic = False

    operations = [
        ops.AddField(
            model_name="Utterance", name="sort_key", field=fields.TextField(db_default="")
        ),
        ops.AddField(
            model_name="Session", name="preview_sort_key", field=fields.TextField(null=True)
        ),
        ops.RunPython(fill, ops.RunPython.noop),
        ops.RemoveIndex(model_name="Utterance", name="utterances_order"),
        ops.AddIndex(
            model_name="Utterance",
            index=Index(fields=["session_id", "sort_key"], name="utterances_order"),
        ),
        DropColumn(model_name="Session", name="preview_position"),
    ]
