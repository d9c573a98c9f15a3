"""Checks that a request is refused and changes nothing."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from resolvers.refusals import Refusal
from tests.dump import dump


@asynccontextmanager
async def refused(
    kind: type[Refusal], field: Sequence[str | int] | None = None, says: str = ""
) -> AsyncIterator[None]:
    """Expect this refusal with this input path, and an unchanged database."""
    before = await dump()
    with pytest.raises(kind) as raised:
        yield
    assert raised.value.field == (None if field is None else list(field))
    assert says in raised.value.message
    assert await dump() == before
