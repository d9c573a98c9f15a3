"""Measures how late an event loop's callbacks are, and how long its thread works in one go."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

EVERY_S: Final = 0.001


@dataclass
class Pauses:
    """The measurements since the last report, in seconds."""

    late: list[float] = field(default_factory=list)
    """Delays of the callbacks."""
    turns: list[float] = field(default_factory=list)
    """Processor time of the loop's thread between two callbacks: other processes don't count."""

    async def watch(self) -> None:
        """Measure as long as the loop runs."""
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(EVERY_S)
            self.late.append(time.perf_counter() - began - EVERY_S)
            self.turns.append(time.thread_time() - used)

    def told(self) -> dict[str, float]:
        """Return the longest of each in milliseconds, and start over."""
        late, turns = self.late or [0.0], self.turns or [0.0]
        self.late, self.turns = [], []
        return {
            "late_ms": 1e3 * max(late),
            "turn_ms": 1e3 * max(turns),
            "over_20_ms": float(sum(one > 0.02 for one in late)),
        }
