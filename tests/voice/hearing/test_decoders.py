"""A decoder is used by one thread at a time, even if its caller is cancelled."""

import asyncio
import threading

import numpy as np

from agent.speech.decoders import Decoders, Sound


class Slow:
    """A decoder that blocks until it is released, and counts its concurrent callers."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.inside = 0
        self.most = 0

    def decode(self, sound: Sound) -> str:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.began.release()
        assert self.go_on.acquire(timeout=30)
        self.inside -= 1
        return "words"


async def test_a_decoder_whose_task_was_cancelled_is_not_used_twice_at_once() -> None:
    """Its thread can't be stopped, so the next sound waits for it."""
    slow = Slow()
    decoders = Decoders(lambda: slow, 1)
    sound = np.zeros(160, np.int16)
    first = asyncio.create_task(decoders.decode(sound, True))
    assert await asyncio.to_thread(slow.began.acquire, timeout=30)
    # As when a loop ends: the work continues in the thread.
    for task in decoders._running:
        task.cancel()
    await asyncio.gather(*decoders._running, return_exceptions=True)
    first.cancel()
    second = asyncio.create_task(decoders.decode(sound, True))
    third = asyncio.create_task(decoders.decode(sound, True))

    for _ in range(3):
        slow.go_on.release()

    assert await second == await third == "words"
    assert slow.most == 1
    decoders.close()
