"""A person's side of `/audio`: plays a recording in real time and listens, like a web page."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect

from tests.speech.recordings import RATE

OUT_RATE = 24_000


@dataclass
class Reply:
    """A reply as received, and how much of it was played."""

    playout: str
    began_at: float
    """When its first sound arrived (`time.monotonic`)."""
    sound: bytearray = field(default_factory=bytearray)
    samples: int | None = None
    cleared_at: float | None = None
    played: int = 0

    def heard(self) -> npt.NDArray[np.int16]:
        return np.frombuffer(bytes(self.sound[: 2 * self.played]), np.int16)


class Person:
    """Plays received sound in real time, and reports it unless told not to."""

    def __init__(self, socket: ClientConnection, *, reports: bool) -> None:
        self.socket = socket
        self.reports = reports
        self.replies: list[Reply] = []
        self.frames: list[dict[str, object]] = []
        self._words = np.zeros(0, np.int16)
        self._changed = asyncio.Event()

    async def speak(self, pcm: npt.NDArray[np.int16], then: float = 1.0) -> float:
        """Say something in real time, then stay silent for a while; return the start time."""
        self._words = np.concatenate([self._words, pcm])
        began = time.monotonic()
        await self.until(lambda: not len(self._words), timeout=60)
        await asyncio.sleep(then)
        return began

    async def until(self, condition: object, timeout: float = 15) -> None:
        assert callable(condition)
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def listen(self) -> None:
        tasks = [asyncio.create_task(self._play()), asyncio.create_task(self._microphone())]
        try:
            async for message in self.socket:
                if isinstance(message, bytes):
                    reply = self.replies[-1]
                    reply.began_at = reply.began_at or time.monotonic()
                    reply.sound += message
                else:
                    await self._obey(json.loads(message))
                self._changed.set()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _microphone(self) -> None:
        """Send queued speech or silence, 20 ms at a time."""
        size = RATE // 50
        due = time.monotonic()
        while True:
            now, self._words = self._words[:size], self._words[size:]
            await self.socket.send(np.pad(now, (0, size - len(now))).tobytes())
            self._changed.set()
            due += 0.02
            # In real time, because tests depend on what arrives during speech.
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _obey(self, frame: dict[str, object]) -> None:
        self.frames.append(frame)
        match frame:
            case {"type": "begin", "playout": str(playout)}:
                self.replies.append(Reply(playout, 0.0))
            case {"type": "end", "samples": int(samples)}:
                self.replies[-1].samples = samples
            case {"type": "clear", "playout": str(playout)}:
                reply = next(reply for reply in self.replies if reply.playout == playout)
                reply.cleared_at = time.monotonic()
                await self._report(reply)

    async def _play(self) -> None:
        """Play 20 ms at a time, never more than has arrived."""
        step = OUT_RATE // 50
        due = time.monotonic()
        while True:
            due = max(due + 0.02, time.monotonic() - 0.02)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for reply in self.replies:
                there = len(reply.sound) // 2
                if reply.cleared_at is None and reply.played < there:
                    reply.played = min(there, reply.played + step)
                    self._changed.set()
                    if reply.played % (5 * step) < step or reply.played == reply.samples:
                        await self._report(reply)
                    break

    async def _report(self, reply: Reply) -> None:
        if self.reports:
            report = {"type": "played", "playout": reply.playout, "samples": reply.played}
            await self.socket.send(json.dumps(report))


@asynccontextmanager
async def person(url: str, token: str, *, reports: bool = True) -> AsyncIterator[Person]:
    address = url.replace("http", "ws", 1) + "/audio"
    async with connect(address, subprotocols=["voxql.audio.v1"], compression=None) as socket:  # type: ignore[list-item] # a str does as well as the NewType
        hello = {"type": "hello", "token": token, "reportsPlayed": reports}
        await socket.send(json.dumps(hello))
        someone = Person(socket, reports=reports)
        listening = asyncio.create_task(someone.listen())
        try:
            yield someone
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
