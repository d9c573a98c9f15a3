"""How quickly speech becomes text, and text an answer: `python -m bench.speech`.

Plays recordings of read speech to a server of its own with the shipped agent, in real time, through
the public interfaces, and measures in the client: what a person in a browser on this machine sees.
"""

import argparse
import asyncio
import json
import os
import platform
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from bench.delays import Delays, converse, exchange, prepare
from bench.transports import compare
from tests.e2e.client.call import Call
from tests.e2e.client.person import Person
from tests.e2e.client.player import Player
from tests.e2e.machine import Machine
from tests.programs.server_process import ServerProcess
from tests.speech.sound import recordings

GROWN: Final = 1.5
"""The lag has grown when its median exceeds this multiple of the median of a single talk."""
GROWN_S: Final = 0.1


def main() -> None:
    """Measure, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=8, help="conversations at once, at most")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of the recordings, alone")
    parser.add_argument("--json", type=Path, default=Path("var/bench-speech.json"))
    parser.add_argument(
        "--livekit", action="store_true", help="compare /audio with LiveKit's rooms instead"
    )
    options = parser.parse_args()
    print(f"{_machine()}, {_when()}\n")
    if options.livekit:
        result = {"machine": _machine(), "at": _when(), **asyncio.run(compare(options.rounds))}
    else:
        with _server(options.most) as server:
            result = asyncio.run(_measure(server, options.rounds, options.most))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nWritten to {options.json}")


async def _measure(server: ServerProcess, rounds: int, most: int) -> dict[str, object]:
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
        "machine": _machine(),
        "at": _when(),
        "alone": {**summary, "share": round(share, 2)},
        "at_once": await _crowds(server, most, summary["final_p50"]),
    }


async def _crowds(server: ServerProcess, most: int, alone: float) -> list[dict[str, float]]:
    """Let more and more people talk at once, until the lag grows."""
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
    prepare(range(rounds))
    async with Person(url) as person, await person.talk() as call:
        await converse(call, range(rounds), delays)
    return delays


async def _crowd(url: str, count: int) -> Delays:
    """Let this many people talk at once; nobody begins before all are connected."""
    delays = Delays()
    clips = recordings()
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Person(url)) for _ in range(count)]
        calls = [await stack.enter_async_context(await person.talk()) for person in people]

        async def talk(number: int, call: Call) -> None:
            for turn in range(3):
                await exchange(call, clips[(number + turn) % len(clips)], delays)
            assert isinstance(call.player, Player)
            delays.stalled.append(call.player.stalled)

        await asyncio.gather(*(talk(number, call) for number, call in enumerate(calls)))
    return delays


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


def _machine() -> str:
    return f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def _when() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__: Sequence[str] = ("main",)

if __name__ == "__main__":
    main()
