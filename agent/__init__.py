"""The voice agent that comes with VoxQL: a worker like any other, of the server's or of LiveKit's.

Nothing outside this package imports it at module level: it needs the extra `agent`.
"""

from agent.answers import LlmSettings
from agent.process import run_agent
from agent.room_worker import LiveKitSettings, run_livekit_agent

__all__ = ["LiveKitSettings", "LlmSettings", "run_agent", "run_livekit_agent"]
