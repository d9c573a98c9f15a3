"""Settings of the use cases."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the use cases."""

    agent_name: str = "voxql"
    public_url: str = "http://127.0.0.1:8000"
    start_timeout: timedelta = timedelta(seconds=5)
    """From the commit that asks for an agent to FAILED."""
    retry_within: timedelta = timedelta(seconds=60)
    """From FAILED to ENDED."""
    grace: timedelta = timedelta(seconds=10)
    """From ENDING to ENDED while an agent is still draining."""
    abandon_after: timedelta = timedelta(seconds=60)
    """From losing the agent, or the person, of an ACTIVE session to its end."""
    reconnect_within: timedelta = timedelta(seconds=10)
    """The longest pause of a worker's reconnect (docs/bridge-protocol.md)."""
    ask_again_after: timedelta = timedelta(seconds=0.5)
    """From finding no worker, while workers may be reconnecting, to the next attempt."""
    agent_retry_after: timedelta = timedelta(seconds=5)
    """From losing an agent to the one automatic new attempt."""
    running_sessions: int = 100
    """Maximum conversations of one user that run at once."""
