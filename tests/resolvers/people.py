"""Users, agents and a clock for the tests of the use cases, besides those in `stage.py`."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent_bridge.server.workers import NoWorker, StartRequest
from models.tables import User
from resolvers.accounts import authentication
from resolvers.accounts.login import Arrival, enter
from resolvers.backend import Backend
from resolvers.sessions.dispatch import Agents
from resolvers.viewer import Viewer
from tests.rows import START


@dataclass
class Clock:
    """A clock that moves only when a test moves it."""

    now: datetime = START + timedelta(days=1)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        self.now += timedelta(**span)


class NoAgents:
    """A server without any connected worker."""

    def knows(self, agent_name: str) -> bool:
        return False

    def free(self, agent_name: str) -> int:
        return 0

    async def start(self, request: StartRequest) -> None:
        raise NoWorker("There is no agent in this test.")


def give_agents(backend: Backend, agents: Agents) -> None:
    """Use these agents from now on."""
    backend.agents = backend.dispatcher._agents = backend.reaper.agents = agents
    backend._build_use_cases()


def give_config(backend: Backend, **changes: Any) -> None:
    """Change the configuration from now on; the bridge keeps the former one."""
    backend.config = replace(backend.config, **changes)
    backend.dispatcher._config = backend.reaper.config = backend.config
    backend._build_use_cases()


async def viewer_for(backend: Backend, user: User) -> Viewer:
    """Sign a user in without a password."""

    async def work(conn: object) -> Arrival:
        return Arrival(user)

    new_login = await enter(backend.transactions, backend.tokens, None, work)
    viewer = await authentication.viewer_of_login(backend.clock, new_login.secret)
    assert viewer is not None
    return viewer
