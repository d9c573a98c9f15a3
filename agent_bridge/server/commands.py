"""What reaches an agent's connection through the hub, from whichever process it comes."""

from dataclasses import dataclass

from agent_bridge.protocol import Input, Stop

__all__ = ["Command", "Fence", "Gone", "Input", "Stop", "topic"]


@dataclass(frozen=True, slots=True)
class Fence:
    """A connection has come, or an attempt has begun: what is older is not current any more.

    Connections of an older attempt drain and go; so do, at once, those of the same attempt but for
    `connection`. An empty `connection` fences the older attempts only.
    """

    attempt: int
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """The session has been deleted."""


Command = Stop | Input | Fence | Gone


def topic(session: str) -> str:
    """Name the hub's topic for commands to the agent of this session."""
    return f"agent:{session}"
