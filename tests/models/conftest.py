"""Fixtures for the tests of the models."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rows import database


@pytest.fixture
async def url(tmp_path: Path, database_kind: str) -> AsyncIterator[str]:
    """Yield the URL of an open, empty database."""
    async with database(tmp_path / "data") as url:
        yield url
