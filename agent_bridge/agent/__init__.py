"""The voice agent that comes with VoxQL: a worker like any other, in a process of its own.

Nothing outside this package imports it at module level: it needs the extra `agent`.
"""

from agent_bridge.agent.answers import LlmSettings
from agent_bridge.agent.process import run_agent

__all__ = ["LlmSettings", "run_agent"]
