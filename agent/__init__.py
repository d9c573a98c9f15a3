"""VoxQL's built-in voice agent: an ordinary worker of the VoxQL server or of LiveKit.

It needs the extra `agent`, so other packages import it only inside functions.
"""

from agent.answers import LlmSettings
from agent.process import run_agent
from agent.room_worker import LiveKitSettings, run_livekit_agent

__all__ = ["LiveKitSettings", "LlmSettings", "run_agent", "run_livekit_agent"]
