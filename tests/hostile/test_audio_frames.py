"""Sound and frames that `/audio` must reject, on a server with stored data."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.hostile.conftest import Scene

SECOND = 32_000
"""Bytes in a second of a person's sound."""


@asynccontextmanager
async def audio(scene: Scene) -> AsyncIterator[ClientConnection]:
    address = scene.on.server.url.replace("http", "ws", 1) + "/audio"
    async with connect(
        address, subprotocols=[Subprotocol("voxql.audio.v1")], compression=None, proxy=None
    ) as socket:
        yield socket


@asynccontextmanager
async def person(scene: Scene) -> AsyncIterator[ClientConnection]:
    """Connect as the person of the conversation."""
    access = scene.on.account.token_id
    token, _ = scene.tokens.media(scene.job.session, "person", 1, access=access)
    async with audio(scene) as socket:
        await socket.send(json.dumps({"type": "hello", "token": token}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        yield socket


async def code_of(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code


async def test_bad_sound_closes_and_leaves_no_trace(scene: Scene) -> None:
    """Frames of odd, zero or excessive length close the connection; stored data stays."""
    before = scene.stored()
    for sound, code in ((b"\0", 4400), (b"", 4400), (bytes(3_201), 4400), (bytes(65_538), 1009)):
        async with person(scene) as socket:
            await socket.send(sound)
            assert await code_of(socket) == code, len(sound)
    assert scene.stored() == before


async def test_bad_frames_close_and_leave_no_trace(scene: Scene) -> None:
    """Malformed, unknown, out-of-place and 2 MB frames close it, before and after the hello."""
    before = scene.stored()
    frames = [
        "",
        "nonsense",
        "null",
        "[]",
        "{}",
        '{"type": "x"}',
        '{"type": "welcome"}',
        "[" * 9_999,
    ]
    for frame in frames:
        async with audio(scene) as socket:
            await socket.send(frame)
            assert await code_of(socket) == 4400, frame[:40]
        async with person(scene) as socket:
            await socket.send(frame)
            assert await code_of(socket) == 4400, frame[:40]
    async with audio(scene) as socket:
        await socket.send(bytes(SECOND))
        assert await code_of(socket) == 4400
    async with person(scene) as socket:
        with suppress(ConnectionClosed):
            await socket.send('{"type": "' + "x" * 2_000_000)
        assert await code_of(socket) == 1009
    assert scene.stored() == before


async def test_sound_at_twice_real_time_is_stopped(scene: Scene) -> None:
    """TOO_FAST comes after the thirty seconds allowed for catching up."""
    before = scene.stored()
    async with person(scene) as socket:
        with suppress(ConnectionClosed):
            for _ in range(2 * 65):
                await socket.send(bytes(SECOND // 2))
        assert await code_of(socket) == 4425
    assert scene.stored() == before


async def test_no_token_opens_what_it_is_not_for(scene: Scene) -> None:
    """Tokens of the bridge, an account or a worker, and arbitrary text get 4401."""
    before = scene.stored()
    job = scene.job
    for token in (job.bridge_token, scene.on.account.token, scene.on.server.worker_key, "please"):
        async with audio(scene) as socket:
            await socket.send(json.dumps({"type": "hello", "token": token}))
            assert await code_of(socket) == 4401
    assert scene.stored() == before
