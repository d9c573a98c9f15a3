"""Fixtures for the tests of the use cases: a real database and a clock that tests advance."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from agent_bridge.media.local import LocalMedia
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import Workers
from hub.local import LocalHub
from resolvers.accounts import credentials
from resolvers.accounts.rate_limits import RateLimits
from resolvers.backend import Backend
from resolvers.config import Config
from tests.resolvers.people import Clock, NoAgents
from tests.resolvers.stage import Stage, staged
from tests.rows import database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def backend(tmp_path: Path, clock: Clock, database_kind: str) -> AsyncIterator[Backend]:
    """Build the dependencies of the use cases, with an empty database of its own."""
    hub = LocalHub()
    tokens = Tokens("only for these tests".ljust(32, "."))
    async with database(tmp_path / "data"):
        yield Backend(
            config=Config(),
            hub=hub,
            agents=NoAgents(),
            media=LocalMedia(Workers(hub), tokens, "http://127.0.0.1:8000"),
            tokens=tokens,
            limiter=RateLimits(clock),
            clock=clock,
            pace=0,
        )


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with argon2, but at a thousandth of the cost."""
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(credentials, "_argon2", PasswordHash((hasher,)))
    credentials._nobodys.cache_clear()


@pytest.fixture
async def stage(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    """Run a conversation's backend with one user signed in."""
    async with staged(backend, clock) as stage:
        yield stage
