"""An integrator's agent, run by livekit-agents, that joins after a person is already waiting."""

import sys
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from agent_bridge.livekit.unanswered import BEFORE_S
from tests.attach.programs import AgentProgram
from tests.livekit.hall import hall
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ROOT, ServerProcess
from tests.wire import Wire

pytestmark = pytest.mark.timeout(300)

LATE_S: Final = 2 * BEFORE_S
"""Seconds from the agent's dispatch to its worker; only then is the worker late."""


async def test_a_late_worker_is_asked_at_once_and_its_slow_start_is_waited_for(
    in_rooms: ServerProcess, livekit: LiveKitServer, wheel: Path
) -> None:
    """One job's agent holds the conversation, although LiveKit lists it only after five seconds.

    The worker is loaded first and held before it reaches LiveKit, so its loading time does not
    decide when it registers.
    """
    assert livekit.ports is not None
    name = f"late-{uuid4().hex}"
    paths = f"{wheel}:{ROOT}:{ROOT / 'examples'}"
    command: list[str | Path] = [sys.executable, ROOT / "tests" / "attach" / "late.py", "start"]
    async with hall(in_rooms, livekit) as on, Wire(livekit.ports[0]) as wire:
        wire.hold()
        variables = {
            "LIVEKIT_URL": f"ws://127.0.0.1:{wire.port}",
            "VOXQL_AGENT_NAME": name,
            "PYTHONPATH": paths,
        }
        with AgentProgram(command, livekit, **variables) as program:
            await wire.held()
            started = await on.start(agentName=name)
            session, room = started["session"]["id"], started["connection"]["roomName"]
            first = await on.waits_for(room, LATE_S)
            wire.release()

            await on.becomes(session, "ACTIVE")

            jobs = [line for line in program.lines if "received job request" in line]
            assert len(jobs) == 1, program.log
            await on.was_asked_at_once(room, first)
            assert len(await on.dispatches(room)) == 1
            await on.save(session)
            await on.is_deleted(room)
