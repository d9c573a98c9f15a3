"""Measures what `attach` costs an agent's event loop per event: `python -m bench.attach_cost`.

A fake session and a fake room pass on events; the real endpoint runs in its own process. For each
call of a handler this measures the time until it returns, the processor time of its thread, and the
garbage collector's share of that. The collector runs in the call that fills the heap, although
other code may have filled most of it. The rest of the time, other threads or programs had the
processor. `whole_us` is the processor time of the loop's thread per event, from the first event
until the server has settled the last one: handlers, frames, the socket, its answers, the collector,
and the fakes themselves.
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
    """Measures a thread's time in garbage collection."""

    took: float = 0.0
    """Seconds of processor time since it was last set to 0."""
    runs: list[tuple[int, float]] = field(default_factory=list)
    """Generation and seconds of every run."""
    _began: float = 0.0

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        """Handle a callback of the collector."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self.took += took
            self.runs.append((info["generation"], took))

    @contextmanager
    def watching(self) -> Iterator["Collector"]:
        """Measure collections within the block."""
        gc.callbacks.append(self)
        try:
            yield self
        finally:
            gc.callbacks.remove(self)


@dataclass(frozen=True, slots=True)
class EventCost:
    """One call of a handler, in seconds."""

    wall: float
    processor: float
    collecting: float

    @property
    def own(self) -> float:
        """Processor time of the handler itself."""
        return max(0.0, self.processor - self.collecting)

    @property
    def elsewhere(self) -> float:
        """Time for which others had the processor."""
        return max(0.0, self.wall - self.processor)


async def measured(work: Callable[[int], Awaitable[None]], collector: Collector) -> list[EventCost]:
    """Measure many events, one after the other."""
    events = []
    for number in range(ROUNDS):
        collector.took = 0.0
        processor, began = time.thread_time(), time.perf_counter()
        await work(number)
        wall, processor = time.perf_counter() - began, time.thread_time() - processor
        events.append(EventCost(wall, processor, collector.took))
        # Let the connection work between two events, as in an agent.
        await asyncio.sleep(0)
    return events


def summary(
    name: str, events: list[EventCost], collector: Collector, whole: float
) -> dict[str, Any]:
    """Return medians, tails, and the parts of the worst event's time; in microseconds.

    `whole` is the loop's processor time for all events, in seconds.
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
    """Run the server until told to stop, apart from the agent's work and memory."""

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
    theirs.close()  # so that the server's end is noticed
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
            # Move all of the agent's words so far into the history, as otherwise happens after a
            # few words.
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
