"""Hubs of several processes in one, whose events travel when a test says so, or get lost."""

import asyncio
from collections.abc import Sequence

from hub.shared import SharedHub


class Bus:
    """What lies between the hubs of one test."""

    def __init__(self) -> None:
        self.hubs: list[BusHub] = []
        self.under_way: list[tuple[BusHub, str, bytes]] = []
        self.kept: dict[str, str] = {}
        self.is_quick = True
        """Whether events arrive at once."""

    def hub(self) -> "BusHub":
        """Add a hub."""
        self.hubs.append(BusHub(self))
        return self.hubs[-1]

    def deliver(self, count: int | None = None) -> None:
        """Let events arrive, the oldest first; by default all of them."""
        arriving, self.under_way = (
            self.under_way[:count],
            self.under_way[len(self.under_way[:count]) :],
        )
        for hub, topic, data in arriving:
            hub._arrived(topic, data)

    def lose(self) -> None:
        """Lose all events that are under way."""
        self.under_way.clear()


class BusHub(SharedHub):
    """The hub of one process."""

    def __init__(self, bus: Bus) -> None:
        super().__init__()
        self._bus = bus

    async def run(self) -> None:
        """Do nothing: the bus delivers."""
        await asyncio.Event().wait()

    def retain(self, key: str, value: str | None) -> None:
        """See `Hub.retain`."""
        if value is None:
            self._bus.kept.pop(key, None)
        else:
            self._bus.kept[key] = value

    async def retained(self, keys: Sequence[str]) -> list[str | None]:
        """See `Hub.retained`."""
        return [self._bus.kept.get(key) for key in keys]

    def _send(self, topic: str, data: bytes) -> None:
        for other in self._bus.hubs:
            if other is not self and other.watched(topic):
                self._bus.under_way.append((other, topic, data))
        if self._bus.is_quick:
            self._bus.deliver()

    def _follow(self) -> None:
        """Do nothing: the bus knows what is watched."""
