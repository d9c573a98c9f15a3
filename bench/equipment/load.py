"""The same load for VoxQL and the reference: agents that talk and viewers that watch."""

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
from bench.equipment.stage import Stage
from bench.equipment.wire import Wire

T = TypeVar("T")
C = TypeVar("C")

OPENED_AT_ONCE: Final = 20
WITHIN_S: Final = 60.0
"""Seconds in which all must be connected."""

# The app's own subscription, with its fragment inlined.
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
# The text carries its kind and the time of sending: `i` for an interim, `n` for the first of a new
# utterance, `f` for a final.
_STAMP: Final = re.compile(rb"@([inf])(\d{19})")
_ACKED: Final = b'{"type":"ack"'


@dataclass
class Tally:
    """The deliveries of one round: nanoseconds from the bridge to the viewer, by kind."""

    delivered: dict[bytes, list[int]] = field(
        default_factory=lambda: {kind: [] for kind in (b"i", b"n", b"f")}
    )
    acknowledged: list[int] = field(default_factory=list)
    began: int = field(default_factory=time.perf_counter_ns)
    """Earlier events are ignored: interims are delivered again when they are written."""
    sent: dict[bytes, int] = field(default_factory=lambda: dict.fromkeys((b"i", b"n", b"f"), 0))
    late: list[int] = field(default_factory=list)
    """Nanoseconds by which the load itself was behind schedule."""

    @property
    def count(self) -> int:
        """Deliveries of all kinds."""
        return sum(map(len, self.delivered.values()))


class LoadViewer:
    """One reader of one stream; counts each event once."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.tally = Tally()
        self.sample = b""
        """The newest frame with exactly one event, for the reference to send."""
        self._seen: set[int] = set()
        wire.on_text = self._take

    def begin(self, tally: Tally) -> None:
        """Count into this tally from now on."""
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


class LoadSpeaker:
    """One agent, or its stand-in at the reference; `say` sends one event."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.tally = Tally()
        wire.on_text = self._take

    def say(self) -> bytes:
        """Send the next event; return its kind."""
        raise NotImplementedError

    def _take(self, text: bytes) -> None:
        """Ignore what comes back."""


class Agent(LoadSpeaker):
    """Speaks in sentences of this many events, the last one final; with 0 it never ends."""

    def __init__(self, wire: Wire, sentence: int) -> None:
        super().__init__(wire)
        self._sentence = sentence
        # The first sentence has a random length, or all agents would finish at the same moment.
        self._last = random.randint(2, sentence) if sentence else 0
        self._revision = 0
        self._segment = ""
        self._finals: dict[tuple[str, int], int] = {}
        """Send times of the unacknowledged finals, by segment and revision."""

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


class Parrot(LoadSpeaker):
    """Makes the reference deliver a frame that VoxQL delivered, with a new time stamp."""

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


async def viewers(port: int, stage: Stage, ids: Sequence[str]) -> list[LoadViewer]:
    """Subscribe to each of these sessions, each on its own connection."""
    init = {"type": "connection_init", "payload": {"Authorization": f"Bearer {stage.secret}"}}

    async def connect(session_id: str) -> LoadViewer:
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
                return LoadViewer(wire)

    return await _all(connect, ids)


async def parrots(port: int, topics: Sequence[str], frame: bytes) -> list[Parrot]:
    """Connect a sender to the reference for each of these topics."""

    async def connect(topic: str) -> Parrot:
        wire = await Wire.open(port, "/in")
        wire.send(topic.encode())
        return Parrot(wire, frame)

    return await _all(connect, topics)


async def bare_viewers(port: int, topics: Sequence[str]) -> list[LoadViewer]:
    """Connect a reader to the reference for each of these topics."""

    async def connect(topic: str) -> LoadViewer:
        wire = await Wire.open(port, "/out")
        wire.send(topic.encode())
        await wire.receive()
        return LoadViewer(wire)

    return await _all(connect, topics)


async def _all(connect: Callable[[T], Awaitable[C]], wanted: Sequence[T]) -> list[C]:
    gate = asyncio.Semaphore(OPENED_AT_ONCE)

    async def one(each: T) -> C:
        async with gate:
            return await connect(each)

    async with asyncio.timeout(WITHIN_S):
        return await asyncio.gather(*map(one, wanted))


async def talk(speakers: Sequence[LoadSpeaker], rate: float, seconds: float, tally: Tally) -> None:
    """Let each speaker send `rate` events a second, spread evenly, whatever comes back."""
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
