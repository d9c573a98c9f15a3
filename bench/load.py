"""Agents that talk and viewers that watch: the same load for VoxQL and for the reference."""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from agent_bridge.client.bridge import new_segment
from agent_bridge.protocol import BRIDGE
from agent_bridge.server.tokens import Tokens
from bench.stage import Stage
from bench.wire import Wire

T = TypeVar("T")
C = TypeVar("C")

OPENED_AT_ONCE: Final = 20
WITHIN_S: Final = 60.0
"""So long may connecting take, all in all."""

# What the app itself asks for, with its fragment written out.
SUBSCRIPTION: Final = """
subscription Transcripts($id: ID!, $after: String) {
  transcripts(sessionId: $id, after: $after) {
    cursor
    isCaughtUp
    utterances {
      id key revision role source text isFinal isInterrupted sortKey startedAt
    }
    end { reason mayResume }
  }
}"""

_TEXT: Final = "and then we went down to the river to see the boats come in"
# The moment of sending travels in the text: `i` for an interim, `n` for the first of a new
# utterance, `f` for a final.
_STAMP: Final = re.compile(rb"@([inf])(\d{19})")
_ACKED: Final = b'{"type":"ack"'


@dataclass
class Tally:
    """What came back in one round: nanoseconds from the bridge to the viewer, by kind."""

    delivered: dict[bytes, list[int]] = field(
        default_factory=lambda: {kind: [] for kind in (b"i", b"n", b"f")}
    )
    acknowledged: list[int] = field(default_factory=list)
    began: int = field(default_factory=time.perf_counter_ns)
    """What was said before is of no interest: unfinished words are delivered again when written."""
    sent: dict[bytes, int] = field(default_factory=lambda: dict.fromkeys((b"i", b"n", b"f"), 0))
    late: list[int] = field(default_factory=list)
    """Nanoseconds by which the load itself was behind its plan."""

    @property
    def count(self) -> int:
        """Deliveries of all kinds."""
        return sum(map(len, self.delivered.values()))


class Viewer:
    """One reader of one stream; counts each event the first time that it comes."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.tally = Tally()
        self.sample = b""
        """The newest frame with one event in it, for the reference to send."""
        self._seen: set[int] = set()
        wire.on_text = self._take

    def begin(self, tally: Tally) -> None:
        """Count into this from now on."""
        self.tally = tally
        self._seen.clear()

    def _take(self, text: bytes) -> None:
        now = time.perf_counter_ns()
        found = _STAMP.findall(text)
        if len(found) == 1:
            self.sample = text
        for kind, stamp in found:
            sent = int(stamp)
            if sent not in self._seen and sent >= self.tally.began:
                self._seen.add(sent)
                self.tally.delivered[kind].append(now - sent)


class Speaker:
    """One agent, or what stands for it at the reference; `say` sends one event."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.tally = Tally()
        wire.on_text = self._take

    def say(self) -> bytes:
        """Send the next event; return its kind."""
        raise NotImplementedError

    def _take(self, text: bytes) -> None:
        """What comes back is of no interest."""


class Agent(Speaker):
    """Speaks in sentences of so many events, the last of which is final; 0: it never ends."""

    def __init__(self, wire: Wire, sentence: int) -> None:
        super().__init__(wire)
        self._sentence = sentence
        # Somewhere in its first sentence, or everybody would come to an end at the same moment.
        self._last = random.randint(2, sentence) if sentence else 0
        self._revision = 0
        self._segment = ""
        self._finals: dict[tuple[str, int], int] = {}
        """When the finals that wait for their answer were sent, by segment and revision."""

    def say(self) -> bytes:
        """Send an interim, or the final that ends the sentence."""
        if self._revision == 0:
            self._segment = new_segment()
        self._revision += 1
        is_final = self._revision == self._last
        kind = b"f" if is_final else b"n" if self._revision == 1 else b"i"
        now = time.perf_counter_ns()
        self.wire.send(
            b'{"type":"utterance","segment":"%b","revision":%d,"role":"USER","text":"%b @%b%019d",'
            b'"final":%b,"startedAt":"2026-01-31T12:00:00.000000Z"}'
            % (
                self._segment.encode(),
                self._revision,
                _TEXT.encode(),
                kind,
                now,
                b"true" if is_final else b"false",
            )
        )
        if is_final:
            self._finals[self._segment, self._revision] = now
            self._revision, self._last = 0, self._sentence
        return kind

    def _take(self, text: bytes) -> None:
        if not self._finals or not text.startswith(_ACKED):
            return
        ack = json.loads(text)
        sent = self._finals.pop((ack["segment"], ack["revision"]), 0)
        if sent >= self.tally.began:
            self.tally.acknowledged.append(time.perf_counter_ns() - sent)


class Parrot(Speaker):
    """Has the reference deliver the very frame that VoxQL delivered, with a new stamp in it."""

    def __init__(self, wire: Wire, frame: bytes) -> None:
        super().__init__(wire)
        stamp = _STAMP.search(frame)
        assert stamp is not None, "the frame has no stamp"
        self._before, self._after = frame[: stamp.start()], frame[stamp.end() :]

    def say(self) -> bytes:
        """Send the frame."""
        self.wire.send(b"%b@i%019d%b" % (self._before, time.perf_counter_ns(), self._after))
        return b"i"


async def agents(port: int, stage: Stage, ids: Sequence[str], sentence: int) -> list[Agent]:
    """Connect an agent to each of these sessions."""
    tokens = Tokens((stage.folder / "secret.key").read_text().strip())

    async def connect(session_id: str) -> Agent:
        wire = await Wire.open(port, "/bridge", BRIDGE)
        hello = {"type": "hello", "token": tokens.bridge(session_id, 1)}
        wire.send(json.dumps(hello).encode())
        welcome = json.loads(await wire.receive())
        assert welcome["type"] == "welcome", welcome
        return Agent(wire, sentence)

    return await _all(connect, ids)


async def viewers(port: int, stage: Stage, ids: Sequence[str]) -> list[Viewer]:
    """Subscribe to each of these sessions, each on a connection of its own."""
    init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {stage.secret}"}}

    async def connect(session_id: str) -> Viewer:
        wire = await Wire.open(port, "/graphql", "graphql-transport-ws")
        wire.send(json.dumps(init).encode())
        acknowledged = json.loads(await wire.receive())
        assert acknowledged["type"] == "connection_ack", acknowledged
        payload = {"query": SUBSCRIPTION, "variables": {"id": session_id, "after": None}}
        wire.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}).encode())
        while True:
            message = json.loads(await wire.receive())
            assert message["type"] == "next", message
            if message["payload"]["data"]["transcripts"]["isCaughtUp"]:
                return Viewer(wire)

    return await _all(connect, ids)


async def parrots(port: int, topics: Sequence[str], frame: bytes) -> list[Parrot]:
    """Connect to the reference, to send on each of these topics."""

    async def connect(topic: str) -> Parrot:
        wire = await Wire.open(port, "/in")
        wire.send(topic.encode())
        return Parrot(wire, frame)

    return await _all(connect, topics)


async def bare_viewers(port: int, topics: Sequence[str]) -> list[Viewer]:
    """Connect to the reference, to read on each of these topics."""

    async def connect(topic: str) -> Viewer:
        wire = await Wire.open(port, "/out")
        wire.send(topic.encode())
        await wire.receive()
        return Viewer(wire)

    return await _all(connect, topics)


async def _all(connect: Callable[[T], Awaitable[C]], wanted: Sequence[T]) -> list[C]:
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one(each: T) -> C:
        async with gate:
            return await connect(each)

    async with asyncio.timeout(WITHIN_S):
        return await asyncio.gather(*map(one, wanted))


async def talk(speakers: Sequence[Speaker], rate: float, seconds: float, tally: Tally) -> None:
    """Let each speaker say so many events a second, spread evenly, whatever comes back."""
    order = random.sample(speakers, len(speakers))
    step = round(1e9 / (rate * len(order)))
    begin = time.perf_counter_ns()
    for number in range(round(seconds * 1e9 / step)):
        due = begin + number * step
        wait = due - time.perf_counter_ns()
        if wait > 0:
            await asyncio.sleep(wait / 1e9)
        else:
            tally.late.append(-wait)
            if number % 16 == 0:
                await asyncio.sleep(0)
        tally.sent[order[number % len(order)].say()] += 1
