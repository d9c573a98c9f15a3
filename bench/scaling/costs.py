"""The costs of the simulation: measured ones, with the page that says them, and assumed ones."""

from dataclasses import dataclass, field
from typing import Final, TypeVar


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and the text that says it in docs/figures.md or another page."""

    value: float
    said: str
    page: str = "figures.md"


EVENT: Final = Measured(
    332, "| CPU a delivered event, all server processes | 494 µs (485 … 507) | 332 µs |"
)
"""µs of CPU for a delivered event with one process, table (g)."""
EVENT_ACROSS: Final = Measured(494, "| CPU a delivered event, all server processes | 494 µs")
"""The same, of both processes, if the agent is connected to one and the viewer to the other."""
INTERIM: Final = Measured(265, "| 200 sessions, one viewer each | 265 µs")
"""µs of CPU for a delivered interim that waits for no commit, table (b)."""
ONE_MORE_VIEWER: Final = Measured(38, "| one session, 500 viewers | 38 µs")
"""µs of CPU to deliver an event to one more viewer in the same process, table (b)."""
DATABASE: Final = Measured(1_170, "| PostgreSQL's CPU a final | 1,170 µs")
"""µs of PostgreSQL's CPU for an utterance of table (g), which is written twice: when it begins and
when it is final."""
REDIS: Final = Measured(19, "| Redis's CPU a delivered event | 19 µs")
"""µs of Redis's CPU, table (g)."""
SUBSCRIBER: Final = Measured(38.7, "| **(e) memory per idle subscriber**, up to 2,000 | 38.7 KiB")
"""KiB of a server's memory."""
SYNC: Final = Measured(1.6, "raw SQLite with the same writes on the same disk has a p99 of 1.6 ms")
"""ms within which 99 of 100 commits are on disk."""
SLOW_DAY: Final = Measured(91, "| CPU, share of one core | 91 %")
"""Percent of a core for 2,000 events a second, on the day of table (a)."""
UTTERANCE: Final = Measured(645, "1,000,000 utterances (645 MB)", "operations.md")
"""Bytes of a stored utterance in SQLite."""
AGENTS: Final = Measured(5, "With five conversations at once, the lag had not grown.")
"""Conversations of the shipped agent on two cores, the server included."""

ALL_MEASURED: Final = (
    EVENT,
    EVENT_ACROSS,
    INTERIM,
    ONE_MORE_VIEWER,
    DATABASE,
    REDIS,
    SUBSCRIBER,
    SYNC,
    SLOW_DAY,
    UTTERANCE,
    AGENTS,
)
AGENT_CORES: Final = 2 / AGENTS.value
"""Cores of the shipped agent for one conversation: not simulated."""

BENCH_RATE: Final = 10.0
"""Events a second of a session in tables (a), (f) and (g)."""
BENCH_EVENTS: Final = 10
"""Events of an utterance there. The first and the last are committed."""

_COMMITTED: Final = 2
"""Events of such an utterance that wait for a commit."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of CPU for each step of an event, and what else takes time."""

    take_us: float
    """The agent's frame is read and acknowledged."""
    commit_us: float
    """The server's own share of a commit, for each row."""
    show_us: float
    """The event is written to its first viewer in a process."""
    show_more_us: float
    """The same, to one more."""
    publish_us: float
    """The event is encoded and sent to Redis."""
    receive_us: float
    """The event comes from Redis and is decoded."""
    row_us: float
    """PostgreSQL writes a row."""
    redis_us: float
    trips: int = 7
    """Round trips to PostgreSQL of a commit: begin, lock, read, update, insert, index, commit."""
    sync_s: float = SYNC.value / 1e3
    pace_s: float = 0.010
    """Seconds from a commit of several changes to the next one."""
    write_within_s: float = 1.0
    """Seconds after which an interim is written that no final has replaced."""
    hop_s: float = 0.0
    """Seconds from one machine to another."""
    load_us: float = 0.0
    """CPU of the load generator for one event, if it shares the machine."""

    @classmethod
    def measured(cls, scale: float = 1.0) -> "Costs":
        """Return the costs that follow from the measured ones.

        An event that is committed costs what is left of an average event. Where only a sum was
        measured, each of its two steps counts as half.

        Args:
            scale: How much more CPU each of the server's steps takes.
        """
        plain = INTERIM.value
        committed = EVENT.value * BENCH_EVENTS - plain * (BENCH_EVENTS - _COMMITTED)
        across = EVENT_ACROSS.value - EVENT.value
        return cls(
            take_us=scale * plain / 2,
            commit_us=scale * (committed / _COMMITTED - plain),
            show_us=scale * plain / 2,
            show_more_us=scale * ONE_MORE_VIEWER.value,
            publish_us=scale * across / 2,
            receive_us=scale * across / 2,
            row_us=DATABASE.value / _COMMITTED,
            redis_us=REDIS.value,
        )


T = TypeVar("T")


def _assumed(value: T, what: str) -> T:
    return field(default=value, metadata={"help": what})


@dataclass(frozen=True, slots=True)
class Assumed:
    """What was not measured. Each value can be changed on the command line."""

    interims_per_s: float = _assumed(3.0, "in a conversation; somebody is always speaking")
    utterance_s: float = _assumed(5.0, "seconds from one final to the next")
    viewers: int = _assumed(1, "streams that watch a conversation: the person's own")
    usable: float = _assumed(0.6, "share of a core that is used, to leave room for peaks")
    machine_cores: int = _assumed(32, "cores of a machine, PostgreSQL's included")
    hop_ms: float = _assumed(0.2, "milliseconds from one machine to another")
    connections: int = _assumed(100, "connections that PostgreSQL takes: its default")
    write_within_s: float = _assumed(1.0, "seconds until an interim is written")

    @property
    def events(self) -> int:
        """Events of an utterance: its interims and its final."""
        return round(self.interims_per_s * self.utterance_s) + 1

    @property
    def rate(self) -> float:
        """Events a second in a conversation."""
        return self.events / self.utterance_s


LOAD_US: Final = 100.0
"""Assumed CPU of the load generator for an event that it sends and receives."""
CONNECTIONS_OF_A_PROCESS: Final = 7
"""One writes, five read, one holds the lock (docs/operations.md)."""
RESERVED_CONNECTIONS: Final = 3
"""Those that PostgreSQL keeps for its administrator by default."""
PROCESS_MIB: Final = 60.0
"""Unshared memory of a server process without connections, measured once for this simulation."""
