"""Dump the whole database, to check that a refused request changed nothing."""

from typing import Any, Final

from models.database import reader

Dump = dict[str, list[dict[str, Any]]]

_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' "
    "AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_search%' ORDER BY name",
    "postgres": "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' "
    "AND tablename NOT LIKE '%_search' AND tablename <> 'search_due' ORDER BY tablename",
}


async def dump() -> Dump:
    """Read every row of every table, in a fixed order, by table name.

    The search index is left out: it is derived data, and SQLite merges its segments at any time.
    """
    conn = reader()
    tables = await conn.execute_query_dict(_TABLES[conn.capabilities.dialect])
    return {
        table["name"]: await conn.execute_query_dict(f'SELECT * FROM "{table["name"]}" ORDER BY 1')
        for table in tables
    }
