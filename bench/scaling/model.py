"""Simulates server processes, PostgreSQL and Redis event by event.

Each process has one event loop. What it commits shares commits, one after the other and paced; what
it publishes leaves in one round trip to Redis for all that waits. A step needs its loop (or Redis,
which is one thread) and a core, and is never interrupted. Only means were measured, so its time is
exponentially distributed.
"""

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import simpy

from bench.figures import percentile
from bench.scaling.costs import Costs

Steps = Generator[simpy.Event, Any, None]

SEED: Final = 20261130
_US: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Conversation:
    """Which process its agent is connected to, and which its viewers."""

    agent: int
    viewers: Sequence[int]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated, and for how long."""

    conversations: Sequence[Conversation]
    rate: float
    """Events a second in each conversation."""
    events: int
    """Events of an utterance; the last is final."""
    costs: Costs
    processes: int = 1
    is_shared: bool = False
    """Whether the processes share events through Redis."""
    database_cores: int = 2
    shared_cores: int = 0
    """Cores that everything shares, the load included; 0 if each process has a core of its own."""
    is_even: bool = False
    """Whether the conversations speak in turn at equal intervals, as in the benchmark."""
    warm_s: float = 1.0
    seconds: float = 5.0


@dataclass(slots=True)
class Result:
    """What was counted after the warm-up; CPU in seconds."""

    setup: Setup
    finals: list[float] = field(default_factory=list)
    """Seconds from the agent to the first viewer's screen."""
    interims: list[float] = field(default_factory=list)
    heard: int = 0
    """Events from agents."""
    rows: int = 0
    commits: int = 0
    messages: int = 0
    """Events that Redis carried."""
    server_cpu: float = 0.0
    database_cpu: float = 0.0
    redis_cpu: float = 0.0

    def ms(self, what: str, share: float) -> float:
        """Return a percentile of the `finals` or the `interims`, in milliseconds."""
        return 1e3 * percentile(getattr(self, what), share)

    def per_conversation(self, total: float) -> float:
        """Return what one conversation takes of this in a second."""
        return total / self.setup.seconds / len(self.setup.conversations)

    @property
    def busy(self) -> float:
        """The share of a core that a process takes, on average."""
        return self.server_cpu / self.setup.seconds / self.setup.processes


@dataclass(slots=True)
class _Word:
    conversation: int
    said_at: float
    kind: str
    """`interim`, `first` (of an utterance), `final`, or `written`: an interim that is due."""


class _Thread:
    """Does one step at a time: on a core of its own, or on one of those that everything shares."""

    def __init__(self, world: "_World", cores: simpy.Resource | None, counter: str) -> None:
        self._world, self._cores, self._counter = world, cores, counter
        self._turn = simpy.Resource(world.env)

    def work(self, us: float) -> Steps:
        """Take this much CPU, when it is this step's turn."""
        if self._cores is None:
            yield from self._world.work(self._turn, us, self._counter)
            return
        with self._turn.request() as turn:
            yield turn
            yield from self._world.work(self._cores, us, self._counter)


class _World:
    """Everything that the processes share."""

    def __init__(self, setup: Setup) -> None:
        self.env = simpy.Environment()
        self.rng = random.Random(SEED)
        self.setup, self.costs = setup, setup.costs
        self.result = Result(setup)
        shared = simpy.Resource(self.env, setup.shared_cores) if setup.shared_cores else None
        self.database = shared or simpy.Resource(self.env, setup.database_cores)
        self.redis = _Thread(self, shared, "redis_cpu")
        self.load = _Thread(self, shared, "")
        self.processes = [_Process(self, shared) for _ in range(setup.processes)]

    @property
    def counts(self) -> bool:
        """Whether the warm-up is over."""
        return self.env.now >= self.setup.warm_s

    def work(self, cores: simpy.Resource, us: float, counter: str) -> Steps:
        """Take this much CPU of some cores, on average."""
        if not us:
            return
        took = self.rng.expovariate(1 / us) * _US
        with cores.request() as core:
            yield core
            yield self.env.timeout(took)
        if counter and self.counts:
            setattr(self.result, counter, getattr(self.result, counter) + took)

    def hop(self) -> simpy.Event:
        """Pass from one machine to another."""
        return self.env.timeout(self.costs.hop_s)

    def count(self, **more: int) -> None:
        """Add to the result's counters, after the warm-up."""
        if self.counts:
            for name, number in more.items():
                setattr(self.result, name, getattr(self.result, name) + number)


class _Process:
    """One server process."""

    def __init__(self, world: _World, cores: simpy.Resource | None) -> None:
        self._world, self._env, self._costs = world, world.env, world.costs
        self._loop = _Thread(world, cores, "server_cpu")
        self._waiting: list[_Word] = []
        self._has_work = self._env.event()
        self._outgoing: list[_Word] = []
        self._has_outgoing = self._env.event()
        self._dirty: dict[int, float] = {}
        """Since when a conversation has an interim that is not written."""
        self._env.process(self._commit_all())
        if world.setup.is_shared:
            self._env.process(self._publish_all())

    def hear(self, word: _Word) -> Steps:
        """Take what an agent says."""
        self._world.count(heard=1)
        yield from self._world.load.work(self._costs.load_us / 2)
        yield from self._loop.work(self._costs.take_us)
        if word.kind != "interim":
            self._commit(word)
            return
        if word.conversation not in self._dirty:
            self._dirty[word.conversation] = self._env.now
            self._env.process(self._write_later(word.conversation, self._env.now))
        self._deliver(word)

    def _write_later(self, conversation: int, since: float) -> Steps:
        yield self._env.timeout(self._costs.write_within_s)
        if self._dirty.get(conversation) == since:
            self._commit(_Word(conversation, self._env.now, "written"))

    def _commit(self, word: _Word) -> None:
        self._waiting.append(word)
        if not self._has_work.triggered:
            self._has_work.succeed()

    def _commit_all(self) -> Steps:
        began, is_group = 0.0, False
        while True:
            yield self._has_work
            if is_group:
                yield self._env.timeout(max(0.0, began + self._costs.pace_s - self._env.now))
            began, self._has_work = self._env.now, self._env.event()
            group, self._waiting = self._waiting, []
            is_group = len(group) > 1
            for word in group:
                self._dirty.pop(word.conversation, None)
            yield from self._transaction(len(group))
            for word in group:
                self._deliver(word)

    def _transaction(self, rows: int) -> Steps:
        trips, database = self._costs.trips, self._world.database
        for _ in range(trips):
            yield from self._loop.work(self._costs.commit_us * rows / trips)
            yield self._world.hop()
            row_us = self._costs.row_us * rows / trips
            yield from self._world.work(database, row_us, "database_cpu")
            yield self._world.hop()
        yield self._env.timeout(self._costs.sync_s)
        self._world.count(rows=rows, commits=1)

    def _deliver(self, word: _Word) -> None:
        """Show it to the viewers here at once, and to the others by way of Redis."""
        viewers = self._world.setup.conversations[word.conversation].viewers
        here = [at for at in viewers if self._world.processes[at] is self]
        if here:
            self._env.process(self._show(word, len(here)))
        if self._world.setup.is_shared:
            self._outgoing.append(word)
            if not self._has_outgoing.triggered:
                self._has_outgoing.succeed()

    def _publish_all(self) -> Steps:
        while True:
            yield self._has_outgoing
            self._has_outgoing = self._env.event()
            group, self._outgoing = self._outgoing, []
            yield from self._loop.work(self._costs.publish_us * len(group))
            yield self._world.hop()
            for word in group:
                # Redis sends it to each process with a viewer, also to the one that published it.
                readers = sorted(set(self._world.setup.conversations[word.conversation].viewers))
                yield from self._world.redis.work(self._costs.redis_us * len(readers))
                self._world.count(messages=len(readers))
                for at in readers:
                    self._env.process(self._world.processes[at].receive(word, self))
            yield self._world.hop()

    def receive(self, word: _Word, sender: "_Process") -> Steps:
        """Take an event from Redis; ignore one's own."""
        yield self._world.hop()
        yield from self._loop.work(self._costs.receive_us)
        if sender is not self:
            viewers = self._world.setup.conversations[word.conversation].viewers
            here = sum(self._world.processes[at] is self for at in viewers)
            yield from self._show(word, here)

    def _show(self, word: _Word, viewers: int) -> Steps:
        yield from self._loop.work(self._costs.show_us + (viewers - 1) * self._costs.show_more_us)
        yield from self._world.load.work(self._costs.load_us / 2)
        if word.said_at < self._world.setup.warm_s:
            return
        took = self._env.now - word.said_at
        if word.kind == "interim":
            self._world.result.interims.append(took)
        elif word.kind == "final":
            self._world.result.finals.append(took)


def run(setup: Setup) -> Result:
    """Simulate; the same setup always has the same result."""
    world = _World(setup)
    rng = world.rng
    order = rng.sample(range(len(setup.conversations)), len(setup.conversations))
    for place, number in enumerate(order):
        phase = place / len(order) if setup.is_even else rng.random()
        first = rng.randint(2, setup.events)
        world.env.process(_talk(world, number, phase / setup.rate, first))
    world.env.run(setup.warm_s + setup.seconds)
    return world.result


def _talk(world: _World, number: int, phase_s: float, first: int) -> Steps:
    """Speak in utterances. The first has another length, so that not all end at once."""
    env, setup = world.env, world.setup
    process = world.processes[setup.conversations[number].agent]
    yield env.timeout(phase_s)
    length = first
    while True:
        for event in range(1, length + 1):
            kind = "final" if event == length else "first" if event == 1 else "interim"
            env.process(process.hear(_Word(number, env.now, kind)))
            yield env.timeout(1 / setup.rate)
        length = setup.events
