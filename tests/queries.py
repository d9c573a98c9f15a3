"""Record the database's statements, to check that lists don't need one per row."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.database import reader


@asynccontextmanager
async def read_statements() -> AsyncIterator[list[str]]:
    """Collect the statements run on the reader's connection, without triggers and indexes."""
    statements: list[str] = []
    connection = reader()._connection
    await connection.set_trace_callback(
        lambda statement: None if statement.startswith("--") else statements.append(statement)
    )
    yield statements
    await connection.set_trace_callback(None)
