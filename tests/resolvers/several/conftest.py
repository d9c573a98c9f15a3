"""Two processes, each with its own memory."""

from collections.abc import AsyncIterator

import pytest

from resolvers.backend import Backend
from tests.resolvers.people import Clock
from tests.resolvers.several.processes import Processes, processes
from tests.resolvers.stage import Stage


@pytest.fixture
async def two(backend: Backend, clock: Clock) -> AsyncIterator[Processes]:
    async with processes(backend, clock) as two:
        yield two


@pytest.fixture
def here(two: Processes) -> Stage:
    return two.stages[0]


@pytest.fixture
def there(two: Processes) -> Stage:
    return two.stages[1]
