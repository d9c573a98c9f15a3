"""Shares a few decoders among all conversations of a process; urgent audio goes first."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.speech.segmenter import Pcm

Sound = npt.NDArray[np.float32]


class Decoder(Protocol):
    """A loaded model. It blocks while decoding; one thread uses it at a time."""

    def decode(self, sound: Sound) -> str:
        """Return the words in audio of 16,000 samples a second, each from -1 to 1."""
        ...


class Decoders:
    """Runs each decoder on its own thread, with one queue for all of them.

    On two cores, two decoders with one thread each decode twice as much as one decoder with two
    threads (measured with moonshine-voice 0.1.0; see docs/speech.md).
    """

    def __init__(self, load: Callable[[], Decoder], count: int) -> None:
        self.all: Sequence[Decoder] = [load() for _ in range(count)]
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="decoder") for _ in self.all]
        self._idle = list(zip(self.all, self._threads, strict=True))
        self._waiting: list[tuple[int, int, Pcm, asyncio.Future[str]]] = []
        self._order = itertools.count()
        self._running: set[asyncio.Task[None]] = set()

    async def decode(self, pcm: Pcm, urgent: bool) -> str:
        """Return the words in 16-bit samples; urgent requests go first, the others in order."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (0 if urgent else 1, next(self._order), pcm, future))
        self._start()
        return await future

    def close(self) -> None:
        """Let the threads end after their current work."""
        for thread in self._threads:
            thread.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        while self._idle and self._waiting:
            _, _, pcm, future = heapq.heappop(self._waiting)
            # Its conversation has ended.
            if future.done():
                continue
            task = asyncio.create_task(self._run(*self._idle.pop(), pcm, future))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(
        self, decoder: Decoder, thread: ThreadPoolExecutor, pcm: Pcm, future: asyncio.Future[str]
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            text = await loop.run_in_executor(thread, _decode, decoder, pcm)
        except Exception as error:  # the caller must learn of any error
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(text)
        finally:
            # After a cancellation the thread may still be busy; the next request waits for it.
            self._idle.append((decoder, thread))
            self._start()


def _decode(decoder: Decoder, pcm: Pcm) -> str:
    return decoder.decode(pcm.astype(np.float32) / np.float32(32_768))
