"""Turns what the simulated conversations take into cores, machines and breaking points."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from bench.scaling.costs import (
    AGENT_CORES,
    CONNECTIONS_OF_A_PROCESS,
    PROCESS_MIB,
    RESERVED_CONNECTIONS,
    SUBSCRIBER,
    UTTERANCE,
    Assumed,
    Costs,
)
from bench.scaling.model import SEED, Conversation, Result, Setup, run

SIZES: Final = (1_000, 100_000, 10_000_000)
"""Conversations at once."""
PROCESSES: Final = 3
"""Processes that are simulated: a whole cell would take hours."""
DATABASE_CORES: Final = 1
"""PostgreSQL's cores that are simulated with them, about as busy as the processes. In a whole cell
a commit takes whichever of many cores is free first, so it waits less."""

AT_LEAST_S: Final = 5.0
"""Seconds that are simulated after the warm-up, however short the utterances."""


def sample(assumed: Assumed, busy: float, costs: Costs | None = None) -> Result:
    """Simulate some processes of a cell, each on a core of its own.

    Args:
        assumed: The conversations.
        busy: The share of its core that each process is to take.
        costs: The costs; by default the measured ones, between machines.
    """
    costs = costs or between_machines(assumed)
    number = round(PROCESSES * busy / _estimate(assumed, costs))
    rng = Random(SEED)
    return run(
        Setup(
            conversations=[_apart(rng, assumed.viewers) for _ in range(number)],
            rate=assumed.rate,
            events=assumed.events,
            costs=costs,
            processes=PROCESSES,
            is_shared=True,
            database_cores=DATABASE_CORES,
            # The first utterances have random lengths, so the load is even after one of them.
            warm_s=assumed.utterance_s,
            seconds=max(assumed.utterance_s, AT_LEAST_S),
        )
    )


def between_machines(assumed: Assumed) -> Costs:
    """Return the measured costs, with the way from one machine to another."""
    return replace(
        Costs.measured(), hop_s=assumed.hop_ms / 1e3, write_within_s=assumed.write_within_s
    )


def _apart(rng: Random, viewers: int) -> Conversation:
    """Connect its viewers to other processes than its agent.

    A load balancer connects them to any process: of N, to another one in N - 1 cases of N.
    """
    agent = rng.randrange(PROCESSES)
    others = [at for at in range(PROCESSES) if at != agent]
    return Conversation(agent, tuple(rng.choice(others) for _ in range(viewers)))


def _estimate(assumed: Assumed, costs: Costs) -> float:
    """Return about how many seconds of a process's CPU a conversation takes in a second."""
    gap = 1 / assumed.rate
    # An interim is due a while after it, and the next one after that begins the next wait.
    written = max(0.0, (assumed.utterance_s - 2 * gap) // (costs.write_within_s + gap / 2))
    shown = costs.show_us + (assumed.viewers - 1) * costs.show_more_us
    delivered = shown + costs.publish_us + costs.receive_us * assumed.viewers
    events, rows = assumed.events + written, 2 + written
    each = assumed.events * costs.take_us + events * delivered + rows * costs.commit_us
    return each * 1e-6 / assumed.utterance_s


@dataclass(frozen=True, slots=True)
class Demand:
    """What one conversation takes; cores are seconds of CPU in a second."""

    server: float
    database: float
    redis: float
    events: float
    """Events a second from its agent."""
    rows: float
    commits: float
    messages: float

    @classmethod
    def of(cls, result: Result) -> "Demand":
        """Return the averages of a simulation."""
        each = result.per_conversation
        return cls(
            each(result.server_cpu),
            each(result.database_cpu),
            each(result.redis_cpu),
            each(result.heard),
            each(result.rows),
            each(result.commits),
            each(result.messages),
        )


@dataclass(frozen=True, slots=True)
class Size:
    """What a number of conversations needs, without machines in reserve."""

    conversations: int
    demand: Demand
    assumed: Assumed

    @property
    def processes(self) -> int:
        """Server processes; each takes one core."""
        return self._cores(self.demand.server)

    @property
    def database_cores(self) -> int:
        """Cores of PostgreSQL."""
        return self._cores(self.demand.database)

    @property
    def primaries(self) -> int:
        """PostgreSQL servers that write, each on a machine of its own, and so cells."""
        return math.ceil(self.database_cores / self.assumed.machine_cores)

    @property
    def redis(self) -> int:
        """Redis servers; each takes one core, and each cell has one."""
        return max(self.primaries, self._cores(self.demand.redis))

    @property
    def machines(self) -> int:
        """Machines for all of these."""
        others = math.ceil((self.processes + self.redis) / self.assumed.machine_cores)
        return self.primaries + others

    @property
    def memory_gib(self) -> float:
        """Memory of the server processes; an agent's connection is counted like a viewer's."""
        connections = self.conversations * (self.assumed.viewers + 1)
        mib = self.processes * PROCESS_MIB + connections * SUBSCRIBER.value / 1024
        return mib / 1024

    @property
    def stored_gb(self) -> float:
        """What is stored in a day that is as busy all the time."""
        utterances = self.conversations * 24 * 3600 / self.assumed.utterance_s
        return utterances * UTTERANCE.value / 1e9

    def _cores(self, each: float) -> int:
        return max(1, math.ceil(self.conversations * each / self.assumed.usable))


SIZE_ROWS: Final[Mapping[str, Callable[[Size], float]]] = {
    "events a second": lambda one: one.conversations * one.demand.events,
    "rows written a second": lambda one: one.conversations * one.demand.rows,
    "commits a second": lambda one: one.conversations * one.demand.commits,
    "Redis's messages a second": lambda one: one.conversations * one.demand.messages,
    "server processes, a core each": lambda one: one.processes,
    "PostgreSQL's cores": lambda one: one.database_cores,
    "Redis servers, a core each": lambda one: one.redis,
    "PostgreSQL primaries": lambda one: one.primaries,
    "machines": lambda one: one.machines,
    "memory of the server processes, GiB": lambda one: one.memory_gib,
    "stored in a day, GB": lambda one: one.stored_gb,
    "not simulated: cores of the shipped agent": lambda one: one.conversations * AGENT_CORES,
}


def about(number: float) -> str:
    """Write a number with two significant digits, and small ones as whole numbers."""
    whole = math.ceil(number - 1e-9)
    digits = len(str(whole)) - 2
    return f"{round(number, -digits) if digits > 0 else whole:,.0f}"


@dataclass(frozen=True, slots=True)
class Break:
    """Where something is full."""

    conversations: int
    what: str


def breaks(demand: Demand, assumed: Assumed) -> list[Break]:
    """Return what is full at how many conversations, the first one first."""
    usable = assumed.usable
    of_process = usable / demand.server
    processes = (assumed.connections - RESERVED_CONNECTIONS) // CONNECTIONS_OF_A_PROCESS
    found = [
        Break(int(of_process), "one server process"),
        Break(int(processes * of_process), f"PostgreSQL's {assumed.connections} connections"),
        Break(int(usable / demand.redis), "one Redis"),
        Break(
            int(assumed.machine_cores * usable / demand.database),
            f"PostgreSQL on {assumed.machine_cores} cores",
        ),
    ]
    return sorted(found, key=lambda one: one.conversations)


@dataclass(frozen=True, slots=True)
class Lever:
    """A change of VoxQL that would need fewer cores; none of them is built."""

    name: str
    assumed: Assumed
    costs: Costs


def levers(assumed: Assumed) -> list[Lever]:
    """Return the changes to compare with VoxQL as it is."""
    later = replace(assumed, write_within_s=assumed.utterance_s)
    costs = between_machines(assumed)
    near = replace(costs, publish_us=0.0, receive_us=0.0, redis_us=0.0)
    return [
        Lever(
            f"interims are written after {assumed.utterance_s:g} s", later, between_machines(later)
        ),
        Lever("agent and viewers at one process", assumed, near),
    ]
