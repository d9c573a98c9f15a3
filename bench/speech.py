"""How quickly speech becomes text, and text an answer: `python -m bench.speech`.

Plays recordings of read speech to a server of its own with the shipped agent, in real time, through
the public interfaces, and measures in the client: what a person in a browser on this machine sees.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from tests.e2e.machine import Machine
from tests.e2e.person import Call, Person, Said, quantile
from tests.e2e.sound import RATE, Clip, recordings, silence, spoken
from tests.e2e.words import error_rate, normal
from tests.server_process import ServerProcess

GAP_S: Final = 0.05
"""Between words that are spoken one by one, so that it is known when each of them ends."""
GROWN: Final = 1.5
"""The lag counts as grown when its median is this much longer than that of a single talk."""
GROWN_S: Final = 0.1
_WORDS: Final = Path(__file__).parent.parent / "tests/e2e/common_words.txt"


@dataclass
class Delays:
    """What was measured, in seconds."""

    final: list[float] = field(default_factory=list)
    """From the end of speech to the final in the browser."""
    interim: list[float] = field(default_factory=list)
    """From the end of a word to the first text in the browser that has it."""
    reply: list[float] = field(default_factory=list)
    """From the end of speech to the first sound of the answer."""
    stalled: list[float] = field(default_factory=list)
    """Silence within answers that is not the voice's own, by conversation."""
    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Return medians and 95th percentiles."""
        found = {"word_error_rate": error_rate(self.said, self.heard)}
        for name in ("final", "interim", "reply"):
            values = getattr(self, name)
            if values:
                found[f"{name}_p50"] = quantile(values, 0.5)
                found[f"{name}_p95"] = quantile(values, 0.95)
        found["stalled_max"] = max(self.stalled, default=0.0)
        return {name: round(value, 3) for name, value in found.items()}


@dataclass(frozen=True)
class Words:
    """A clip of single words, with the sample at which each of them ends."""

    clip: Clip
    ends: list[int]


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=8, help="conversations at once, at most")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of the recordings, alone")
    parser.add_argument("--json", type=Path, default=Path("var/bench-speech.json"))
    options = parser.parse_args()
    with _server(options.most) as server:
        result = asyncio.run(_measure(server, options.rounds, options.most))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nWritten to {options.json}")


async def _measure(server: ServerProcess, rounds: int, most: int) -> dict[str, object]:
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {_when()}\n")
    alone, share = await _with_share(server, partial(_alone, server.url, rounds))
    summary = alone.summary()
    print("| one conversation | median | 95 % |\n| --- | --- | --- |")
    for name, told in (
        ("final", "end of speech → final in the browser"),
        ("interim", "end of a word → text with it in the browser"),
        ("reply", "end of speech → first sound of the answer"),
    ):
        print(f"| {told} | {summary[f'{name}_p50']:.2f} s | {summary[f'{name}_p95']:.2f} s |")
    print(f"\n{len(alone.final)} sentences, {len(alone.interim)} single words, word error rate")
    print(f"{summary['word_error_rate']:.1%}; other programs left {share:.0%} of the machine.\n")
    return {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "at": _when(),
        "alone": {**summary, "share": round(share, 2)},
        "at_once": await _crowds(server, most, summary["final_p50"]),
    }


async def _crowds(server: ServerProcess, most: int, alone: float) -> list[dict[str, float]]:
    """Let ever more people talk at once, until the lag grows."""
    print("| at once | final, median | 95 % | answer, median | errors | stutter | ours |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found: list[dict[str, float]] = []
    for count in range(1, most + 1):
        delays, share = await _with_share(server, partial(_crowd, server.url, count))
        one = delays.summary()
        found.append({"people": count, **one, "share": round(share, 2)})
        print(
            f"| {count} | {one['final_p50']:.2f} s | {one['final_p95']:.2f} s "
            f"| {one['reply_p50']:.2f} s | {one['word_error_rate']:.1%} "
            f"| {one['stalled_max']:.2f} s | {share:.0%} |",
            flush=True,
        )
        if one["final_p50"] > GROWN * alone + GROWN_S:
            break
    return found


async def _alone(url: str, rounds: int) -> Delays:
    delays = Delays()
    clips = [clip for _ in range(rounds) for clip in recordings()]
    async with Person(url) as person, await person.talk() as call:
        for clip in clips:
            await _exchange(call, clip, delays)
        for seed in range(2 * rounds):
            words = _words(seed)
            said = await _exchange(call, words.clip, delays)
            delays.interim += _word_delays(call, said, words)
    return delays


async def _crowd(url: str, count: int) -> Delays:
    """Let this many people talk at once; nobody begins before all are there."""
    delays = Delays()
    clips = recordings()
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Person(url)) for _ in range(count)]
        calls = [await stack.enter_async_context(await person.talk()) for person in people]

        async def talk(number: int, call: Call) -> None:
            for turn in range(3):
                await _exchange(call, clips[(number + turn) % len(clips)], delays)
            delays.stalled.append(call.player.stalled)

        await asyncio.gather(*(talk(number, call) for number, call in enumerate(calls)))
    return delays


async def _exchange(call: Call, clip: Clip, delays: Delays) -> Said:
    replies = len(call.replies)
    said = call.say(clip)
    await call.answered(said, 90)
    finals = call.finals("USER", said.began)
    delays.final.append(finals[-1].at - said.voice_ended)
    first = call.replies[replies].first_sound
    assert first is not None
    delays.reply.append(first - said.voice_ended)
    delays.said.append(clip.text)
    delays.heard.append(" ".join(seen.text for seen in finals))
    return said


def _words(seed: int) -> Words:
    chosen = random.Random(seed).sample(_WORDS.read_text().split(), 9)
    pieces, ends, place = [], [], 0
    for word in chosen:
        pcm = spoken(word, word).trimmed().pcm
        pieces += [pcm, silence(GAP_S)]
        ends.append(place + len(pcm))
        place += len(pieces[-2]) + len(pieces[-1])
    return Words(Clip(f"words {seed}", " ".join(chosen), np.concatenate(pieces)), ends)


def _word_delays(call: Call, said: Said, words: Words) -> Iterator[float]:
    """Yield for each word that was understood how long it took to be seen."""
    seen = [one for one in call.seen if one.role == "USER" and one.at >= said.began]
    for word, end in zip(words.clip.text.split(), words.ends, strict=True):
        for one in seen:
            if normal(word) in normal(one.text).split():
                yield one.at - (said.began + end / RATE)
                break


async def _with_share(
    server: ServerProcess, work: Callable[[], Awaitable[Delays]]
) -> tuple[Delays, float]:
    machine = Machine(server.process.pid)
    return await work(), machine.share


@contextmanager
def _server(places: int) -> Iterator[ServerProcess]:
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(
            Path(folder), VOXQL_AGENT="local", VOXQL_AGENT_PLACES=str(places)
        ).start()
        try:
            server.wait_for("ready: conversations can begin")
            yield server
        finally:
            server.stop()


def _when() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__: Sequence[str] = ("main",)

if __name__ == "__main__":
    main()
