"""What `attach` costs an agent's event loop for each event: `python -m bench.attach_cost`.

A session and a room that only pass on events, and the real endpoint in a process of its own.
Measured is each call of a handler: the time until it returns, the processor time that its thread
spent, and how much of that was Python's garbage collector. The collector runs where the heap
happens to be full, whoever filled it; and what is neither is another thread's, or another
program's, turn on the processor. `whole_us` is all that the loop's thread computed from the first
event until the server had settled the last one, for each event: handlers, frames, the socket, the
answers to it, the collector, and what the stand-ins for the agent cost themselves.
"""

import asyncio
import gc
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from agent_bridge.attaching import attach
from tests.agent_bridge.serving import SESSION, serve
from tests.attach.fakes import FakeContext, FakeRoom, FakeSession

ROUNDS = 2_000
WORDS = [
    "so",
    "many",
    "words",
    "as",
    "a",
    "person",
    "says",
    "in",
    "a",
    "long",
    "breath",
    "before",
    "the",
    "next",
    "one",
    "comes",
]


@dataclass
class Collector:
    """Measures what garbage collection takes of a thread's time."""

    took: float = 0.0
    """Seconds of processor time, since it was last set to 0."""
    runs: list[tuple[int, float]] = field(default_factory=list)
    """Generation and seconds of every run."""
    _began: float = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Be called by the collector."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self.took += took
            self.runs.append((info["generation"], took))

    @contextmanager
    def watching(self) -> Iterator["Collector"]:
        """Listen for the time of the block."""
        gc.callbacks.append(self)
        try:
            yield self
        finally:
            gc.callbacks.remove(self)


@dataclass(frozen=True, slots=True)
class Event:
    """One call of a handler, in seconds."""

    wall: float
    processor: float
    collecting: float

    @property
    def own(self) -> float:
        """What the handler itself took of the processor."""
        return max(0.0, self.processor - self.collecting)

    @property
    def elsewhere(self) -> float:
        """What others had the processor for."""
        return max(0.0, self.wall - self.processor)


async def measured(work: Callable[[int], Awaitable[None]], collector: Collector) -> list[Event]:
    """Return what many events took, one after the other."""
    events = []
    for number in range(ROUNDS):
        collector.took = 0.0
        processor, began = time.thread_time(), time.perf_counter()
        await work(number)
        wall, processor = time.perf_counter() - began, time.thread_time() - processor
        events.append(Event(wall, processor, collector.took))
        # The connection's own work has its turn between two events, as in an agent.
        await asyncio.sleep(0)
    return events


def summary(name: str, events: list[Event], collector: Collector, whole: float) -> dict[str, Any]:
    """Return medians, tails, and where the time of the worst went; in microseconds.

    `whole` are the seconds of processor time that the loop took for all of them.
    """
    worst = max(events, key=lambda event: event.wall)
    return {
        "event": name,
        "whole_us": _us(whole / len(events)),
        "wall_us": _spread([event.wall for event in events]),
        "own_us": _spread([event.own for event in events]),
        "own_share": round(sum(e.own for e in events) / sum(e.wall for e in events), 2),
        "worst_was_us": {
            "own": _us(worst.own),
            "collector": _us(worst.collecting),
            "elsewhere": _us(worst.elsewhere),
        },
        "collector": {
            "in_events": sum(event.collecting > 0 for event in events),
            "longest_us": {
                f"generation {wanted}": _us(max(took))
                for wanted in range(3)
                if (took := [took for generation, took in collector.runs if generation == wanted])
            },
        },
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    seconds = sorted(seconds)
    return {
        "median": _us(statistics.median(seconds)),
        "p99": _us(seconds[int(len(seconds) * 0.99)]),
        "worst": _us(seconds[-1]),
    }


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def serve_bridge(pipe: Connection) -> None:
    """Be the server, until told to stop: its work and its memory are not the agent's."""

    async def serving() -> None:
        async with serve() as served:
            pipe.send((served.url, served.token()))
            await served.handler.saw("ready", 1)
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serving())


async def main() -> None:
    """Print a line of JSON for each kind of event."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=serve_bridge, args=(theirs,), daemon=True
    )
    server.start()
    theirs.close()  # so that its end is noticed
    url, token = await asyncio.to_thread(ours.recv)
    room, session = FakeRoom(), FakeSession("listening")
    member = {"url": url, "session": SESSION, "attempt": 1, "token": token}
    attachment = attach(session, FakeContext({"voxql": member}, room))
    assert attachment is not None
    await asyncio.to_thread(ours.recv)

    async def interim(number: int) -> None:
        session.heard(" ".join(WORDS[: number % len(WORDS) + 1]))
        await room.show_person(f"SG_{number // 10}", "", final=False)

    async def final(number: int) -> None:
        session.heard(" ".join(WORDS), final=True)
        await room.show_person(f"SF_{number}", "", final=True)

    async def word(number: int) -> None:
        await room.show_agent(f"SA_{number // 15}", "word ")

    async def state(number: int) -> None:
        session.state("thinking" if number % 2 else "listening")

    async def reply(number: int) -> None:
        session.replied(" ".join(WORDS), began=0.0)

    for name, work in {
        "user_input_transcribed, interim": interim,
        "user_input_transcribed, final": final,
        "a word of the agent": word,
        "agent_state_changed": state,
        "conversation_item_added": reply,
    }.items():
        if work is reply:
            # All that the agent was shown to say until now becomes a part of the history, as it
            # does after a few words otherwise.
            session.replied(" ".join(WORDS), began=0.0)
        with Collector().watching() as collector:
            began = time.thread_time()
            events = await measured(work, collector)
            await attachment._bridge._until(lambda: attachment._bridge.unsettled == 0)
            whole = time.thread_time() - began
        print(json.dumps(summary(name, events, collector, whole)))
    await attachment.aclose()
    ours.send("stop")
    await asyncio.to_thread(server.join)


if __name__ == "__main__":
    asyncio.run(main())
