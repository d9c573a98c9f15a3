"""The shipped agent registers at LiveKit with a custom language model."""

import sys

from tests.attach.programs import AgentProgram
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ROOT


def test_it_registers(livekit: LiveKitServer) -> None:
    """Its plugin must be loaded on the main thread."""
    command = (sys.executable, str(ROOT / "cli.py"), "agent", "--livekit")
    model = {"VOXQL_LLM_BASE_URL": "http://127.0.0.1:9/v1", "VOXQL_LLM_MODEL": "tiny"}
    with AgentProgram(command, livekit, VOXQL_AGENT_NAME="with-a-model", **model) as agent:
        agent.wait_for("registered at LiveKit")
