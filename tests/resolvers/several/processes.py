"""Several processes in one test: each has its own memory, and all use one database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from resolvers.backend import Backend
from resolvers.members import GONE_AFTER_S, Members
from resolvers.viewer import Viewer
from tests.hub.bus import Bus
from tests.resolvers.people import Clock
from tests.resolvers.stage import Stage, rebuild, staged


@dataclass
class Processes:
    """Processes that share a database, a clock and a bus."""

    bus: Bus
    clock: Clock
    stages: list[Stage] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)

    @property
    def viewer(self) -> Viewer:
        """The viewer whose conversations they hold."""
        return self.stages[0].viewer

    def members(self, number: int) -> Members:
        """Return what the process with this number knows of the others."""

        async def numbers() -> set[int]:
            return set(self.alive)

        return Members(numbers, number=number, clock=lambda: self.clock.now.timestamp())

    def number(self, stage: Stage) -> int:
        """Return the number of a process."""
        return stage.backend.members.me

    async def look_round(self) -> None:
        """Let every living process see which others there are."""
        for stage in self._living():
            await stage.backend.members.look()

    async def compare(self) -> None:
        """Let every living process find what it has missed."""
        for stage in self._living():
            assert stage.backend.lost_events is not None
            await stage.backend.lost_events.look()

    async def die(self, stage: Stage) -> None:
        """End a process as a power cut would; the others notice after a while."""
        hub = stage.backend.hub
        self.alive.discard(self.number(stage))
        self.bus.hubs = [one for one in self.bus.hubs if one is not hub]
        self.bus.under_way = [one for one in self.bus.under_way if one[0] is not hub]
        await self.look_round()
        self.clock.pass_by(seconds=GONE_AFTER_S)

    async def replace(self, stage: Stage) -> None:
        """Start a process in the place of one that has died."""
        number = max(self.number(one) for one in self.stages) + 1
        rebuild(stage.backend, hub=self.bus.hub(), members=self.members(number))
        stage.__post_init__()
        self.alive.add(number)
        await self.look_round()

    async def look(self) -> None:
        """Run the reaper of every living process."""
        for stage in self._living():
            await stage.reaper.look()
            await stage.reaper.asked()

    def _living(self) -> list[Stage]:
        return [stage for stage in self.stages if self.number(stage) in self.alive]


@asynccontextmanager
async def processes(
    backend: Backend, clock: Clock, count: int = 2, *, is_running: bool = True
) -> AsyncIterator[Processes]:
    """Run several processes like this one, with one user signed in; see `staged`."""
    bus = Bus()
    cluster = Processes(bus, clock)

    async with AsyncExitStack() as stack:
        for number in range(1, count + 1):
            one = Backend(
                config=backend.config,
                hub=bus.hub(),
                agents=backend.agents,
                media=backend.media,
                tokens=backend.tokens,
                limiter=backend.limiter,
                members=cluster.members(number),
                clock=clock,
                pace=0,
            )
            stage = await stack.enter_async_context(staged(one, clock, is_running=is_running))
            cluster.alive.add(number)
            if cluster.stages:
                stage.viewer, stage.user = cluster.stages[0].viewer, cluster.stages[0].user
            cluster.stages.append(stage)
        await cluster.look_round()
        yield cluster
