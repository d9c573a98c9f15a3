"""In any order of events in two processes, the database and all subscribers end up the same.

The histories of `test_any_order`, with two processes whose events are late, lost or out of order:
agents and people move from one to the other, and either may die.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from hub.local import LocalHub
from models import database
from resolvers.backend import Backend
from tests.resolvers import test_any_order as one
from tests.resolvers.people import Clock
from tests.resolvers.several.processes import processes
from tests.resolvers.stage import Stage

tidy = one.tidy
process = st.sampled_from([0, 1])


class HistoriesOfTwo(one.Histories):
    """People use `stage`, one of the two processes; each agent has a connection to one of them."""

    async def _staged(self, backend: Backend, clock: Clock) -> Stage:
        both = processes(backend, clock, is_running=False)
        self.cluster = await self.open.enter_async_context(both)
        self.cluster.bus.is_quick = False
        return self.cluster.stages[0]

    async def _quiet(self) -> None:
        for _ in range(3):
            for stage in self.cluster.stages:
                await stage.backend.writer.drain()
        await self.cluster.compare()

    async def _finish(self) -> None:
        await super()._finish()
        for stage in self.cluster.stages:
            assert stage.backend.live.due_at() is None, "it would be written again without end"

    # ------------------------------------------------------------------ what else may happen

    @rule(number=process)
    def go_to(self, number: int) -> None:
        """People use this process from now on; streams stay where they are."""
        self.stage = self.cluster.stages[number]

    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        """Some events arrive."""

        async def work() -> None:
            self.cluster.bus.deliver(count)

        self.run(work())

    @rule(data=st.data())
    def deliver_late(self, data: st.DataObject) -> None:
        """Events under way arrive in another order."""
        bus = self.cluster.bus
        bus.under_way = data.draw(st.permutations(bus.under_way[:6])) + bus.under_way[6:]

    @rule()
    def lose(self) -> None:
        """Redis is away: what is under way is lost."""

        async def work() -> None:
            self.cluster.bus.lose()

        self.run(work())

    @rule()
    def compare(self) -> None:
        """Each process finds what it has missed."""
        self.run(self.cluster.compare())

    @rule(number=one.which, to=process, is_noticed=st.booleans())
    def move(self, number: int, to: int, is_noticed: bool) -> None:
        """An agent comes back to a process, perhaps before its old connection is lost."""
        talk = self.talks[number]

        async def work() -> None:
            old = talk.agent
            if is_noticed:
                await old.lose()
            stage = self.cluster.stages[to]
            talk.agent = stage.talker(talk.session, connection=old.connection + "+")
            await talk.agent.come()
            if not is_noticed:
                await old.lose()

        self.run(work())

    # ------------------------------------------------------------------ what needs all words

    @rule(number=one.which, is_free=st.booleans())
    def type(self, number: int, is_free: bool) -> None:
        """The outcome depends on words that another process may not have written yet."""
        self.run(self._quiet())
        super().type(number, is_free)

    @rule(
        number=one.which,
        shown=st.lists(
            st.tuples(st.integers(-1, 4), st.booleans()), unique_by=lambda m: m[0], max_size=4
        ),
        waits=st.lists(st.integers(0, 15), max_size=3),
    )
    def save(self, number: int, shown: list[tuple[int, bool]], waits: list[int]) -> None:
        """See `type`."""
        self.run(self._quiet())
        super().save(number, shown, waits)

    async def _crash(self, is_recovered: bool, is_writing: bool, is_resent: bool) -> None:
        """Kill the process that people use; the other one goes on."""
        dead = self.stage
        # The survivor is quiet, so that only words of the dead process can be lost.
        for stage in self.cluster.stages:
            if stage is not dead:
                await stage.backend.writer.drain()
        here = [each for each in self.subscribers if each.stage is dead]
        for subscriber in here:
            await subscriber.go()
        if is_writing:
            dead.backend.transactions._hub = LocalHub()
            await dead.backend.writer.commit_waiting()
        await database.settled()
        talks = [talk for talk in self.talks if talk.agent._events is dead.events]
        await self.cluster.die(dead)
        await self.cluster.replace(dead)
        for stage in self.cluster.stages:
            if is_recovered:
                await stage.reaper._adopt_orphans()
        for talk in talks:
            await self._return(talk, self.cluster.stages[0], is_resent=is_resent)
        for stage in self.cluster.stages:
            await stage.backend.writer.commit_waiting()
        for subscriber in here:
            await subscriber.come(self.stage, one.FAST)


@settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
class AnyHistoryOfTwo(HistoriesOfTwo):
    """Bounded, so that `make test` stays quick."""


TestAnyOrderOfTwo: Any = pytest.mark.timeout(300)(AnyHistoryOfTwo.TestCase)
