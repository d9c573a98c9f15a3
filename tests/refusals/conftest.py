"""The whole app with a database that has data of every kind."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from agent_bridge.server.workers import NoFreePlace, StartRequest
from models import database, ids
from resolvers.backend import Backend
from tests.resolvers.conftest import quick_passwords  # noqa: F401 - a fixture
from tests.resolvers.people import give_agents, give_config
from tests.schema.clients import Http
from tests.schema.conftest import (  # noqa: F401 - fixtures
    app,
    backend,
    client,
    guest,
    listening,
    sockets,
    stranger,
    url,
)
from tests.schema.fakes import Agent, WillingAgents

ADA = {"email": "ada@example.com", "password": "correct horse"}


class UnwillingAgents(WillingAgents):
    """Workers that have no free place."""

    async def start(self, request: StartRequest) -> None:
        raise NoFreePlace("There is no agent in this test.")


@dataclass
class Scene:
    """The clients of a test, and the ids behind the placeholders in the table of refusals."""

    owner: Http
    stranger: Http
    nobody: Http
    secret: str
    """The owner's API token, which may only read."""
    ids: dict[str, str] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """Replace placeholders in an input with ids."""
        if isinstance(value, dict):
            return {name: self.resolve(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        return self.ids.get(value, value) if isinstance(value, str) else value


@pytest.fixture
async def scene(
    guest: Http,  # noqa: F811 - a fixture imported above, like all of these
    stranger: Http,  # noqa: F811
    client: Http,  # noqa: F811
    backend: Backend,  # noqa: F811
    quick_passwords: None,  # noqa: F811
) -> Scene:
    # An expired deadline would change the database during a test.
    long = timedelta(hours=1)
    give_config(backend, start_timeout=long, retry_within=long, abandon_after=long)
    await stranger.data(
        "mutation($i: SignUpInput!) { signUp(input: $i) { viewer { id } } }", {"i": ADA}
    )
    created = await guest.data(
        'mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ]}) '
        "{ secret apiToken { id } } }"
    )
    theirs = await stranger.data(
        'mutation { createApiToken(input: {name: "t", scopes: [SESSIONS_READ]}) '
        "{ apiToken { id } } startNewChat { session { id } } }"
    )
    scene = Scene(guest, stranger, client, created["createApiToken"]["secret"])
    scene.ids = {
        "@mine": await _active(guest, backend),
        "@ended": await _ended(guest),
        "@failed": await _failed(guest, backend),
        "@deleted": await _deleted(guest),
        "@starting": await _start(guest, '{title: "One", idempotencyKey: "used"}'),
        "@theirs": theirs["startNewChat"]["session"]["id"],
        "@token": created["createApiToken"]["apiToken"]["id"],
        "@their token": theirs["createApiToken"]["apiToken"]["id"],
        "@unknown": ids.new_session(),
        "@unknown token": ids.new_api_token(),
        "@user": (await guest.data("{ viewer { id } }"))["viewer"]["id"],
    }
    # A token records its first use; further uses within a minute change nothing.
    await client.data("{ viewer { id } }", authorization=f"Bearer {scene.secret}")
    await database.settled()
    give_config(backend, running_sessions=3)
    return scene


async def _start(http: Http, given: str = "{}") -> str:
    data = await http.data(f"mutation {{ startNewChat(input: {given}) {{ session {{ id }} }} }}")
    session_id: str = data["startNewChat"]["session"]["id"]
    return session_id


async def _active(http: Http, backend: Backend) -> str:  # noqa: F811
    session_id = await _start(http)
    agent = Agent(backend, session_id)
    await agent.come()
    await agent.say("spoken", segment="spoken")
    await http.data(
        "mutation($i: SendMessageInput!) { sendMessage(input: $i) { utterance { id } } }",
        {"i": {"sessionId": session_id, "key": "typed", "text": "typed"}},
    )
    return session_id


async def _ended(http: Http) -> str:
    session_id = await _start(http)
    await http.data(
        "mutation($i: SaveSessionInput!) { saveSession(input: $i) { isSaved } }",
        {"i": {"sessionId": session_id}},
    )
    return session_id


async def _failed(http: Http, backend: Backend) -> str:  # noqa: F811
    willing = backend.agents
    give_agents(backend, UnwillingAgents())
    session_id = await _start(http)
    give_agents(backend, willing)
    return session_id


async def _deleted(http: Http) -> str:
    session_id = await _start(http)
    await http.data(
        "mutation($i: DeleteSessionInput!) { deleteSession(input: $i) { deletedSessionId } }",
        {"i": {"sessionId": session_id}},
    )
    return session_id
