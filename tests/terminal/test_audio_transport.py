"""The audio connection follows the person's side of docs/audio-protocol.md."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from terminal.audio.source import Nothing, Playback
from terminal.audio.speaker import ClockSpeaker
from terminal.audio.transport import AudioClient, MediaAccess
from terminal.audio.wav import read
from terminal.client.server import GraphQLClient
from terminal.refusal import CannotTalk
from tests.speech.sound import silence, write_wav

Json = dict[str, Any]
TEN_SECONDS = 240_000
"""Samples of an agent's voice."""
PIECE = 24_000
Script = Callable[[ServerConnection], Awaitable[None]]


class _Relay:
    """The server's `/audio`: a script for each connection, and a record of its input."""

    def __init__(self) -> None:
        self.frames: list[Json] = []
        self.sound = bytearray()
        self.url = ""
        self.tokens: list[str] = []

    async def read(self, socket: ServerConnection, until: Callable[[], bool]) -> None:
        while not until():
            message = await socket.recv()
            if isinstance(message, bytes):
                self.sound += message
            else:
                self.frames.append(json.loads(message))

    @property
    def played(self) -> list[tuple[str, int]]:
        reports = [frame for frame in self.frames if frame["type"] == "played"]
        return [(report["playout"], report["samples"]) for report in reports]


@asynccontextmanager
async def _relay(
    *scripts: Callable[[_Relay, ServerConnection], Awaitable[None]],
) -> AsyncIterator[_Relay]:
    relay, waiting = _Relay(), list(scripts)

    async def handle(socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        assert hello["type"] == "hello"
        assert hello["reportsPlayed"] is True
        relay.tokens.append(hello["token"])
        await socket.send(json.dumps({"type": "welcome", "session": "ses_1", "role": "PERSON"}))
        with suppress(ConnectionClosed):
            await waiting.pop(0)(relay, socket)

    names = [Subprotocol("voxql.audio.v1")]
    async with serve(handle, "127.0.0.1", 0, subprotocols=names) as server:
        relay.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/audio"
        yield relay


def _line(relay: _Relay, source: Nothing | Playback | None = None) -> AudioClient:
    async def renew() -> MediaAccess:
        return MediaAccess(relay.url, "fresh")

    server = GraphQLClient(relay.url.replace("ws", "http", 1))
    return AudioClient(server, source or Nothing(), ClockSpeaker(), renew)


async def _run(relay: _Relay, line: AudioClient) -> None:
    async with asyncio.timeout(10):
        await line.run(MediaAccess(relay.url, "first"))


async def _reply(socket: ServerConnection, name: str, samples: int, *, ends: bool) -> None:
    await socket.send(json.dumps({"type": "begin", "playout": name}))
    for start in range(0, samples, PIECE):
        await socket.send(b"\1\0" * min(PIECE, samples - start))
    if ends:
        await socket.send(json.dumps({"type": "end", "playout": name, "samples": samples}))


async def test_a_reply_is_reported_to_its_end() -> None:
    """Reports only grow, and the last one of a complete reply is its length."""

    async def talks(relay: _Relay, socket: ServerConnection) -> None:
        await _reply(socket, "ply_1", 6_000, ends=True)
        await relay.read(socket, lambda: ("ply_1", 6_000) in relay.played)
        await socket.close(1000, "ENDED: the conversation has ended")

    async with _relay(talks) as relay:
        await _run(relay, _line(relay))
    counts = [samples for _, samples in relay.played]
    assert counts == sorted(set(counts))
    assert counts[-1] == 6_000


async def test_clear_is_answered_with_what_was_heard() -> None:
    """The answer has the count where playback stopped; the rest is never reported."""

    async def interrupts(relay: _Relay, socket: ServerConnection) -> None:
        # Longer than any delay of a busy machine before the clear.
        await _reply(socket, "ply_1", TEN_SECONDS, ends=False)
        await relay.read(socket, lambda: len(relay.played) >= 2)
        before = len(relay.played)
        await socket.send(json.dumps({"type": "clear", "playout": "ply_1"}))
        await relay.read(socket, lambda: len(relay.played) > before)
        await _reply(socket, "ply_2", 2_400, ends=True)
        await relay.read(socket, lambda: ("ply_2", 2_400) in relay.played)
        await socket.close(1000)

    async with _relay(interrupts) as relay:
        await _run(relay, _line(relay))
    first = [samples for name, samples in relay.played if name == "ply_1"]
    assert first == sorted(first)
    assert 0 < first[-1] < TEN_SECONDS
    assert [name for name, _ in relay.played][-1] == "ply_2"


async def test_a_recording_is_played_in_real_time(tmp_path: Any) -> None:
    """Playback takes as long as the recording, and every sample arrives."""
    pcm = silence(0.5)
    pcm[:] = 1_000
    playback = Playback(read(write_wav(tmp_path / "tone.wav", pcm)))
    playback.play()

    async def listens(relay: _Relay, socket: ServerConnection) -> None:
        await relay.read(socket, lambda: len(relay.sound) >= 2 * len(pcm))
        await socket.close(1000)

    began = asyncio.get_running_loop().time()
    async with _relay(listens) as relay:
        await _run(relay, _line(relay, playback))
    assert asyncio.get_running_loop().time() - began >= 0.4
    heard = memoryview(bytes(relay.sound)).cast("h")
    assert list(heard[: len(pcm)]) == [1_000] * len(pcm)


async def test_a_lost_connection_is_taken_up_with_a_fresh_token() -> None:
    """Tokens expire after 15 minutes; a conversation may last longer."""

    async def breaks(relay: _Relay, socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "begin", "playout": "ply_1"}))
        socket.transport.abort()

    async def ends(relay: _Relay, socket: ServerConnection) -> None:
        await socket.close(1000)

    async with _relay(breaks, ends) as relay:
        line = _line(relay)
        await _run(relay, line)
    assert relay.tokens == ["first", "fresh"]


async def test_a_connection_that_was_replaced_does_not_come_back() -> None:
    """Otherwise two terminals would keep replacing each other."""

    async def replaces(relay: _Relay, socket: ServerConnection) -> None:
        await socket.close(4409, "FENCED: a newer connection has taken this one's place")

    async with _relay(replaces) as relay:
        with pytest.raises(CannotTalk, match="a newer connection"):
            await _run(relay, _line(relay))
    assert relay.tokens == ["first"]
