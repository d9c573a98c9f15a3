"""Fixtures for the tests of the use cases: a real database, and a clock that stands still."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from agent_bridge.hub import LocalHub
from agent_bridge.local_venue import LocalVenue
from agent_bridge.tokens import Tokens
from agent_bridge.workers import NoWorker, StartRequest, Workers
from models import User
from resolvers import accounts, credentials
from resolvers.backend import Backend, Config
from resolvers.entrance import Arrival, enter
from resolvers.ledger import Ledger
from resolvers.rate_limits import RateLimits
from resolvers.viewer import Viewer
from tests.rows import START, database


@dataclass
class Clock:
    """The time, which passes only when a test lets it."""

    now: datetime = START + timedelta(days=1)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


class NoAgents:
    """A server to which no worker has connected."""

    def knows(self, agent_name: str) -> bool:
        return False

    def free(self, agent_name: str) -> int:
        return 0

    async def start(self, request: StartRequest) -> None:
        raise NoWorker("There is no agent in this test.")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def backend(tmp_path: Path, clock: Clock) -> AsyncIterator[Backend]:
    """Everything the use cases need, with a database of its own that is empty."""
    hub = LocalHub()
    tokens = Tokens("only for these tests".ljust(32, "."))
    async with database(tmp_path / "data"):
        yield Backend(
            config=Config(),
            hub=hub,
            ledger=Ledger(hub, clock, pace=0),
            agents=NoAgents(),
            media=LocalVenue(Workers(), tokens, "http://127.0.0.1:8000"),
            tokens=tokens,
            limiter=RateLimits(clock),
            clock=clock,
        )


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with argon2 as ever, but with a thousandth of the work."""
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(credentials, "_argon2", PasswordHash((hasher,)))
    credentials._nobodys.cache_clear()


async def viewer_for(backend: Backend, user: User) -> Viewer:
    """Sign a user in without asking for a password."""

    async def work(conn: object) -> Arrival:
        return Arrival(user)

    entrance = await enter(backend, None, work)
    viewer = await accounts.viewer_of_login(backend, entrance.secret)
    assert viewer is not None
    return viewer
