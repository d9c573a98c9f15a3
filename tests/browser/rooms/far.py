"""VoxQL, LiveKit and the agent behind one cable that can lose every packet.

The cable cuts the person off: from the page, the API, LiveKit and the agent's voice. The three
servers still reach one another.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from livekit import api

from tests.attach.programs import AgentProgram
from tests.network import Cable, island
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import recordings

READY_WITHIN_S: Final = 90.0


@dataclass(frozen=True)
class Far:
    """The servers of a distant person."""

    cable: Cable
    livekit: LiveKitServer
    server: ServerProcess

    async def agents(self, session: str) -> list[tuple[int, str]]:
        """Return the agent dispatches of a session's room with the agents in it.

        Each pair is an attempt number and a participant identity.
        """
        async with api.LiveKitAPI(self.livekit.http_url, KEY, SECRET) as control:
            rooms = (await control.room.list_rooms(api.ListRoomsRequest())).rooms
            [room] = [room.name for room in rooms if session in room.metadata]
            asked = await control.agent_dispatch.list_dispatch(room)
            request = api.ListParticipantsRequest(room=room)
            people = (await control.room.list_participants(request)).participants
        attempts = [json.loads(one.metadata)["voxql"]["attempt"] for one in asked]
        there = [one.identity for one in people if one.kind == api.ParticipantInfo.Kind.AGENT]
        assert len(attempts) == len(there), (attempts, there)
        return list(zip(attempts, there, strict=True))


@asynccontextmanager
async def far(folder: Path) -> AsyncIterator[Far]:
    """Start all three on an island, ready for conversations."""
    recordings()  # report missing system packages before anything starts
    with ExitStack() as stack:
        place = stack.enter_context(island())
        cable = place.cable
        livekit = LiveKitServer(
            folder / "livekit", host=cable.there, device=cable.device_there, prefix=place.prefix
        )
        stack.callback(livekit.kill)
        await asyncio.to_thread(livekit.start)
        # A job's start-up time is not tested here.
        settings = {"VOXQL_AGENT": "livekit", "VOXQL_START_TIMEOUT_S": "60", **livekit.settings}
        server = ServerProcess(folder / "server", VOXQL_HOST=cable.there, **settings)
        server.prefix = place.prefix
        await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        command = (*place.prefix, sys.executable, str(ROOT / "cli.py"), "agent", "--livekit")
        agent = stack.enter_context(AgentProgram(command, livekit, VOXQL_AGENT_PLACES="2"))
        await asyncio.to_thread(agent.wait_for, "registered at LiveKit", READY_WITHIN_S)
        yield Far(cable, livekit, server)
        assert "Traceback" not in agent.log, agent.log
