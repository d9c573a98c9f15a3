"""Announces a worker to VoxQL through LiveKit, by a room that exists for a few seconds.

LiveKit does not queue jobs for workers that come later. While somebody waits for an agent, VoxQL
looks for such rooms and dispatches again at once (docs/livekit.md).
"""

import asyncio
import hashlib
import importlib
import json
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

log = logging.getLogger(__name__)

STANDS_S: Final = 10
"""Seconds that the room exists. A second worker that registers meanwhile makes no other room:
VoxQL has just dispatched again for everybody who waits."""
_PREFIX: Final = "voxqlworker-"
_NOBODY: Final = "voxql-nobody"
"""An agent that no worker runs. LiveKit gives a room without a dispatch to every unnamed worker."""


class Server(Protocol):
    """The part of `livekit.agents.AgentServer` that is used here."""

    def on(self, event: Any, callback: Callable[..., Any], /) -> object:
        """Call `callback` whenever `event` happens."""


def notice_of(agent_name: str) -> str:
    """Return the name of the room that announces a worker for this agent."""
    return _PREFIX + hashlib.sha256(agent_name.encode()).hexdigest()[:32]


def announce(
    server: Server,
    agent_name: str,
    *,
    url: str | None = None,
    api_key: str | None = None,
    api_secret: str | None = None,
) -> None:
    """Announce this worker to VoxQL each time LiveKit registers it, so that waiting people get it.

    Without this, VoxQL dispatches again some seconds later. It never raises: a failure of LiveKit
    is logged.

    Args:
        server: The `AgentServer` of livekit-agents, before it runs.
        agent_name: The agent name that VoxQL dispatches.
        url: LiveKit's address. Like the key and secret, it defaults to LiveKit's own variable.
        api_key: LiveKit's API key.
        api_secret: LiveKit's API secret.
    """
    telling: set[asyncio.Task[None]] = set()

    def registered(*_: object) -> None:
        task = asyncio.create_task(give_notice(agent_name, url, api_key, api_secret))
        telling.add(task)
        task.add_done_callback(telling.discard)

    server.on("worker_registered", registered)


async def give_notice(
    agent_name: str, url: str | None, api_key: str | None, api_secret: str | None
) -> None:
    """Announce a worker once; log a failure of LiveKit."""
    # Imported here because this package does not depend on LiveKit: livekit-agents brings it.
    api = importlib.import_module("livekit.api")
    try:
        async with api.LiveKitAPI(url, api_key, api_secret) as livekit:
            await livekit.room.create_room(
                api.CreateRoomRequest(
                    name=notice_of(agent_name),
                    empty_timeout=STANDS_S,
                    metadata=json.dumps({"voxql": {"worker": agent_name}}),
                    agents=[api.RoomAgentDispatch(agent_name=_NOBODY)],
                )
            )
    # A worker serves without the announcement, so no failure may stop it.
    except Exception as error:
        log.warning("VoxQL was not told that a worker has come: %r", error)
