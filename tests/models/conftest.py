"""Fixtures for the tests of the tables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rows import database


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """An open database with nothing in it."""
    async with database(tmp_path / "data") as url:
        yield url
