"""Neither memory nor delay grows with the length of a conversation."""

import asyncio
from dataclasses import dataclass, field
from statistics import mean

import psutil
import pytest

from tests.e2e.client.call import Call
from tests.e2e.client.person import Person
from tests.e2e.client.seen import joined
from tests.e2e.machine import Machine
from tests.programs.server_process import ServerProcess
from tests.speech.sound import Clip, recording, silence
from tests.speech.words import error_rate

MIB = 2**20
GROWTH = 10 * MIB
SLOWER = 1.2
MORE_WORK = 1.5
"""Identical work has taken 1.23 times the processor time half a minute later on a shared machine;
work that grows with the conversation would exceed this limit."""
LAG_S = 0.8
JITTER_S = 0.05
"""The difference between the means of two small samples."""


@dataclass
class Course:
    """The measurements of a long conversation."""

    lags: list[tuple[float, float]] = field(default_factory=list)
    """When something was said, and the delay of its final; seconds, on a machine of our own."""
    work: list[float] = field(default_factory=list)
    """Seconds of processor time for each exchange."""
    memory: list[tuple[float, int]] = field(default_factory=list)
    """When, and the bytes of server and agent together."""
    server: list[int] = field(default_factory=list)
    """The server's part of them."""

    def lag(self, began: float, ended: float) -> float:
        """Return the mean delay in this period."""
        return mean(lag for at, lag in self.lags if began <= at < ended)

    def grown(self, since: float) -> int:
        """Return the memory growth between the lowest early and the lowest late value."""
        late = self.memory[-1][0] - 15
        early = min(size for at, size in self.memory if since <= at < since + 15)
        return min(size for at, size in self.memory if at >= late) - early


@pytest.mark.soak
@pytest.mark.timeout(150)
async def test_a_minute_of_talk(speaking: ServerProcess) -> None:
    """In one minute, memory and work per exchange stay about the same."""
    course = await _hold(speaking, 60, [recording("0930")])
    _report(course)
    assert course.grown(since=20) < GROWTH
    # Three exchanges at each end say little about delay, but much about its cause.
    assert mean(course.work[-3:]) <= MORE_WORK * mean(course.work[:3])
    assert course.lag(40, 60) <= LAG_S


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_ten_minutes_of_talk(speaking: ServerProcess) -> None:
    """From minute 2 to 10 memory grows by less than 10 MiB, and the last minute is no slower."""
    clips = [recording(name) for name in ("0870", "0880", "0890", "0920", "0930")]
    course = await _hold(speaking, 600, clips)
    _report(course)
    assert course.grown(since=120) < GROWTH
    # Each minute has different clips; a round of all five takes about a minute.
    assert course.lag(540, 600) <= SLOWER * course.lag(0, 60) + JITTER_S


async def _hold(server: ServerProcess, seconds: float, clips: list[Clip]) -> Course:
    course = Course()
    async with Person(server.url) as person, await person.talk() as call:
        began = asyncio.get_running_loop().time()
        measuring = asyncio.create_task(_measure(server, course, began))
        try:
            number = 0
            while (now := asyncio.get_running_loop().time() - began) < seconds:
                machine = Machine(server.process.pid)
                before = machine.computed()
                lag = await _exchange(call, clips[number % len(clips)])
                course.lags.append((now, lag * machine.share))
                course.work.append(machine.computed() - before)
                number += 1
        finally:
            measuring.cancel()
        kept = await person.utterances(call.id)
    assert sum(one["role"] == "AGENT" for one in kept) == len(course.lags)
    return course


async def _exchange(call: Call, clip: Clip) -> float:
    said = call.say(clip)
    await call.answered(said)
    finals = call.finals("USER", said.began)
    assert error_rate([clip.text], [joined(finals)]) <= 0.25
    call.hear(silence(0.5))
    return finals[-1].at - said.voice_ended


async def _measure(server: ServerProcess, course: Course, began: float) -> None:
    process = psutil.Process(server.process.pid)
    processes = [process, *process.children(recursive=True)]
    assert len(processes) >= 2, "the agent is a process of its own"
    while True:
        sizes = [one.memory_info().rss for one in processes]
        course.memory.append((asyncio.get_running_loop().time() - began, sum(sizes)))
        course.server.append(sizes[0])
        await asyncio.sleep(1)


def _report(course: Course) -> None:
    print(f"\nfinal after {mean(lag for _, lag in course.lags):.2f} s, ", end="")
    print(f"{[round(lag, 2) for _, lag in course.lags]}")
    print(f"processor time {[round(work, 2) for work in course.work]} s")
    print(f"memory {[size // MIB for _, size in course.memory[::10]]} MiB, ", end="")
    print(f"of that the server {[size // MIB for size in course.server[::60]]} MiB")
