"""Makes PostgreSQL compare text byte by byte, as SQLite does, whatever the database's language."""

from typing import Any, Final

_NOT_BYTEWISE: Final = """
SELECT format('ALTER TABLE %I ALTER COLUMN %I TYPE %s COLLATE "C"',
    c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) AS statement
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped AND l.collname <> 'C'
ORDER BY c.relname, a.attnum"""


async def compare_bytes(conn: Any) -> None:
    """Change the collation of all text columns that have another one.

    PostgreSQL refuses this for a column that a trigger names.
    """
    for row in await conn.execute_query_dict(_NOT_BYTEWISE):
        await conn.execute_script(row["statement"])
