"""The settings that the use cases go by."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings that the use cases go by."""

    agent_name: str = "voxql"
    public_url: str = "http://127.0.0.1:8000"
    start_timeout: timedelta = timedelta(seconds=5)
    """From the commit that asks for an agent to FAILED."""
    retry_within: timedelta = timedelta(seconds=60)
    """From FAILED to ENDED."""
    grace: timedelta = timedelta(seconds=10)
    """From ENDING to ENDED while an agent is still draining."""
    abandon_after: timedelta = timedelta(seconds=60)
    """Without an agent, or without the person, from ACTIVE to the end."""
    reconnect_within: timedelta = timedelta(seconds=10)
    """The longest pause of a worker's reconnect (docs/bridge-protocol.md)."""
    ask_again_after: timedelta = timedelta(seconds=0.5)
    """From finding no worker, while they may be reconnecting, to the next try."""
    agent_retry_after: timedelta = timedelta(seconds=5)
    """From losing an agent to the one new attempt that nobody has to ask for."""
    running_sessions: int = 100
    """Conversations that one user may have going at once."""
