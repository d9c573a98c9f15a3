"""Calls to a fake LiveKit."""

import asyncio
from dataclasses import dataclass, field

from agent_bridge.livekit.control import LiveKitRefused


@dataclass(kw_only=True)
class FakeCalls:
    """Counts the calls, and fails them if a test wants it."""

    trouble: Exception | None = None
    """What every call raises."""
    refused: set[str] = field(default_factory=set)
    """Rooms whose calls are refused."""
    calls: int = 0
    under_way: int = 0
    most_under_way: int = 0

    async def call(self, room: str = "") -> None:
        self.calls += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.trouble is not None:
            raise self.trouble
        if room in self.refused:
            raise LiveKitRefused("made up")
