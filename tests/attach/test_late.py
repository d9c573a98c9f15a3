"""Somebody's own agent, in processes of livekit-agents, that comes when somebody waits already."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from tests.attach.programs import AgentProgram
from tests.livekit.hall import hall
from tests.livekit_server import LiveKitServer
from tests.server_process import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(300)

SOON_S: Final = 3.0
"""Seconds from "registered" in the worker's log to its job: about one, and a full machine."""


async def test_a_late_worker_is_asked_at_once_and_its_slow_start_is_waited_for(
    in_rooms: ServerProcess, livekit: LiveKitServer, wheel: Path
) -> None:
    """One job, whose agent holds the conversation, although LiveKit lists it after five seconds."""
    name = f"late-{uuid4().hex}"
    async with hall(in_rooms, livekit) as on:
        started = await on.start(agentName=name)
        session, room = started["session"]["id"], started["connection"]["roomName"]
        paths = f"{wheel}:{ROOT}:{ROOT / 'examples'}"
        command: list[str | Path] = [sys.executable, ROOT / "tests" / "attach" / "late.py", "start"]
        with AgentProgram(command, livekit, VOXQL_AGENT_NAME=name, PYTHONPATH=paths) as program:
            await asyncio.to_thread(program.wait_for, "registered worker")
            registered = time.monotonic()
            await asyncio.to_thread(program.wait_for, "received job request")
            took = time.monotonic() - registered

            await on.becomes(session, "ACTIVE")

            jobs = [line for line in program.lines if "received job request" in line]
            assert len(jobs) == 1, program.log
            assert took < SOON_S
            assert len(await on.api.agent_dispatch.list_dispatch(room)) == 1
            await on.save(session)
            await on.is_deleted(room)
