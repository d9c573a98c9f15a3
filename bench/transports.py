"""Compares the delays of LiveKit's rooms and of local media: by turns, with the same speech."""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.delays import Delays, converse, first_voice, prepare
from tests.attach.programs import AgentProgram
from tests.e2e.client.call import Call
from tests.e2e.client.person import Person
from tests.e2e.machine import Machine
from tests.programs.livekit_server import LiveKitServer
from tests.programs.server_process import ROOT, ServerProcess
from tests.speech.sound import Clip, recording, spoken

BEGINNINGS: Final = 4
"""New Chats per round, beside the one with the conversation."""
NAMES: Final = ("local", "LiveKit")
ROWS: Final = (
    ("active", "New Chat → ACTIVE in the browser"),
    ("joined", "New Chat → the agent hears the person"),
    ("interim", "end of a word → text with it in the browser"),
    ("final", "end of speech → final in the browser"),
    ("reply", "end of speech → first voice of the answer"),
    ("silent", "speech over an answer → the answer is silent"),
)
_INTERRUPTED_AFTER: Final = 24_000
_LONG: Final = (
    "repeat after me the old train left the station early in the morning and went slowly along "
    "the river to the mountain village where my brother lives with his children"
)


@dataclass(frozen=True)
class Place:
    """A server, named by its media transport."""

    name: str
    server: ServerProcess


async def compare(rounds: int) -> dict[str, object]:
    """Measure, print a table, and return its figures."""
    prepare(range(rounds))
    request = spoken("request", _LONG)
    with _places() as places:
        machine = Machine(*(child.pid for child in psutil.Process().children()))
        delays = {place.name: Delays() for place in places}
        for number in range(rounds):
            # Alternate who begins, so that neither always has the warmer machine.
            for place in places if number % 2 == 0 else places[::-1]:
                await _turn(place, number, delays[place.name], request)
                print(f"round {number + 1}, {place.name}: done", file=sys.stderr, flush=True)
        share = machine.share
    _print(delays, share)
    return {
        **{name: one.summary() for name, one in delays.items()},
        "share": round(share, 2),
    }


async def _turn(place: Place, number: int, delays: Delays, request: Clip) -> None:
    async with Person(place.server.url) as person:
        for _ in range(BEGINNINGS):
            async with await person.talk() as call:
                _begun(call, delays)
        async with await person.talk() as call:
            _begun(call, delays)
            await converse(call, range(number, number + 1), delays, first_voice)
            await _interrupt(call, delays, request)


def _begun(call: Call, delays: Delays) -> None:
    assert call.active is not None
    delays.active.append(call.active - call.asked)
    delays.joined.append(asyncio.get_running_loop().time() - call.asked)


async def _interrupt(call: Call, delays: Delays, request: Clip) -> None:
    count = len(call.replies)
    call.say(request)
    await call.until(
        lambda: len(call.replies) > count and call.replies[count].samples > _INTERRUPTED_AFTER
    )
    reply = call.replies[count]
    over = call.say(recording("0920").trimmed())
    await call.until(lambda: reply.silent_since)
    assert reply.silent_since is not None
    delays.silent.append(reply.silent_since - over.voice_began)
    await call.answered(over)


def _print(delays: dict[str, Delays], share: float) -> None:
    summaries = {name: one.summary() for name, one in delays.items()}
    print("| by turns, the same speech | local, median | 95 % | LiveKit, median | 95 % |")
    print("| --- | --- | --- | --- | --- |")
    for row, told in ROWS:
        cells = [f"{summaries[n][f'{row}_{p}']:.2f} s" for n in NAMES for p in ("p50", "p95")]
        print(f"| {told} | {' | '.join(cells)} |")
    errors = [f"{summaries[name]['word_error_rate']:.1%} | " for name in NAMES]
    print(f"| words wrong | {'| '.join(errors)}|")
    one = delays[NAMES[0]]
    print(f"\nEach: {len(one.active)} New Chats, {len(one.final)} sentences, ", end="")
    print(f"{' and '.join(str(len(delays[n].interim)) for n in NAMES)} single words, ", end="")
    print(f"{len(one.silent)} interruptions; other programs left {share:.0%} of the machine.")


@contextmanager
def _places() -> Iterator[list[Place]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        local = ServerProcess(folder / "local", VOXQL_AGENT="local")
        livekit = LiveKitServer(folder / "livekit")
        rooms = ServerProcess(folder / "rooms", VOXQL_AGENT="livekit")
        command = [sys.executable, str(ROOT / "cli.py"), "agent", "--livekit"]
        try:
            local.start().wait_for("ready: conversations can begin")
            rooms.environment |= livekit.start().settings
            rooms.start()
            with AgentProgram(command, livekit) as agent:
                agent.wait_for("registered at LiveKit")
                yield [Place("local", local), Place("LiveKit", rooms)]
        finally:
            for server in (local, rooms):
                if server.url:
                    server.stop()
            livekit.kill()
