"""Memory and lag must not grow during a long conversation. Run by `make soak`."""

import asyncio
import gc
import sys
import time
from itertools import cycle

import numpy as np
import psutil
import pytest

from agent.speech.recogniser import LocalRecogniser
from tests.speech.recordings import cards, sentences, silence
from tests.voice.hearing.test_recognition import recognise
from tests.voice.person import person
from tests.voice.server import KEY, Notes, Server

MINUTES = 10
PROGRAM = """
import asyncio, sys
from agent import run_agent
asyncio.run(run_agent(sys.argv[1], sys.argv[2], ["voxql"], 3, greets=False))
"""


async def said_more_than(server: Server, notes: Notes, count: int) -> None:
    await server.notebook.until(lambda: len(notes.finals("USER")) > count)


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 120)
async def test_ten_minutes_of_conversation_grow_nothing(server: Server) -> None:
    """From minute 2 to 10, memory grows by less than 10 MiB, and lag at most by a factor of 1.2.

    The factor compares the last minute with the first. A lag of up to 0.4 s always passes: nobody
    notices a difference below that.
    """
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, server.url, KEY)
    try:
        await server.worker_came()
        server.start_agent("ses_long")
        notes = server.notebook.of("ses_long")
        await server.notebook.until(lambda: notes.is_ready)
        lags: list[tuple[float, float]] = []
        sizes: list[tuple[float, int]] = []
        began = time.monotonic()
        async with person(server.url, server.person_token("ses_long")) as someone:
            for clip in cycle((*sentences(), *cards())):
                minute = (time.monotonic() - began) / 60
                if minute >= MINUTES:
                    break
                count = len(notes.finals("USER"))
                spoke = await someone.speak(clip.pcm, 2.0)
                await said_more_than(server, notes, count)
                final = notes.finals("USER")[count]
                lags.append((minute, notes.when(final) - spoke - clip.voice_ends))
                sizes.append((minute, psutil.Process(agent.pid).memory_info().rss))
                for reply in someone.replies[:-1]:
                    reply.sound.clear()
        first = np.median([lag for minute, lag in lags if minute < 1])
        last = np.median([lag for minute, lag in lags if minute >= MINUTES - 1])
        # The minimum of a minute: memory for decoding comes and goes.
        early = min(size for minute, size in sizes if 2 <= minute < 3)
        late = min(size for minute, size in sizes if minute >= MINUTES - 1)
        print(f"lag {first:.3f} -> {last:.3f} s, {(late - early) / 2**20:.1f} MiB more")
        assert late - early < 10 * 2**20
        assert last <= max(1.2 * first, 0.4)
        assert len(notes.finals("AGENT")) > 20
    finally:
        agent.terminate()
        await agent.wait()


@pytest.mark.soak
@pytest.mark.sample_clock
async def test_memory_does_not_grow_while_somebody_talks(
    clock: None, recogniser: LocalRecogniser
) -> None:
    """Two and a half minutes of speech, played fast: the second half adds less than 5 MiB."""
    sound = np.concatenate([part for clip in sentences() for part in (clip.pcm, silence(0.5))])
    process = psutil.Process()
    sizes = []
    for _ in range(6):
        await recognise(recogniser, sound)
        gc.collect()
        sizes.append(process.memory_info().rss)
    assert min(sizes[4:]) - max(sizes[1:3]) < 5 * 2**20
