"""How a worker tells VoxQL, through LiveKit, that it has come: a room that stands for a moment.

LiveKit keeps no job for a worker that is not there yet. VoxQL, while somebody waits for an agent,
looks for such rooms, and asks again at once (docs/livekit.md).
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
"""Seconds that the room stands. A second worker that comes meanwhile makes no other one: who waits
has just been asked for anew."""
_PREFIX: Final = "voxqlworker-"
_NOBODY: Final = "voxql-nobody"
"""LiveKit gives a room without a dispatch to every worker without a name."""


class Server(Protocol):
    """What is needed of `livekit.agents.AgentServer`."""

    def on(self, event: Any, callback: Callable[..., Any], /) -> object:
        """Call this back whenever that happens."""


def notice_of(agent_name: str) -> str:
    """Return the name of the room that says: a worker with this agent has come."""
    return _PREFIX + hashlib.sha256(agent_name.encode()).hexdigest()[:32]


def announce(
    server: Server,
    agent_name: str,
    *,
    url: str | None = None,
    api_key: str | None = None,
    api_secret: str | None = None,
) -> None:
    """Tell VoxQL whenever LiveKit takes this worker, so that who waits is asked for at once.

    Without it VoxQL finds out by itself, some seconds later. It never fails: what LiveKit does not
    take is logged.

    Args:
        server: The `AgentServer` of livekit-agents, before it runs.
        agent_name: The name under which VoxQL asks for the agent.
        url: LiveKit's address; this and the others, by default, from LiveKit's own variables.
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
    """Say once that a worker has come; what LiveKit does not take is logged."""
    # Nothing of LiveKit's is imported by this package: livekit-agents has brought it.
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
    # The boundary of a courtesy: a worker serves without it.
    except Exception as error:
        log.warning("VoxQL was not told that a worker has come: %r", error)
