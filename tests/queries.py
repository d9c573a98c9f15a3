"""The statements that the database was given, to see that lists don't cost one for each row."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.database import reader


@asynccontextmanager
async def read_statements() -> AsyncIterator[list[str]]:
    """Collect what is run on the reader's connection; triggers and indexes are not counted."""
    statements: list[str] = []
    connection = reader()._connection
    await connection.set_trace_callback(
        lambda statement: None if statement.startswith("--") else statements.append(statement)
    )
    yield statements
    await connection.set_trace_callback(None)
