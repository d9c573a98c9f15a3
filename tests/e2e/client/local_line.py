"""A person's audio connection to `/audio`, with a plain WebSocket."""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.client.microphone import Microphone
from tests.e2e.client.player import Player, Reply
from tests.e2e.client.seen import Json

REPORT_S: Final = 0.05


class LocalLine:
    """Sends the microphone's sound to the agent, and plays the agent's replies.

    Args:
        microphone: the person's sound.
        player: plays the replies.
        changed: called whenever something was heard.
    """

    def __init__(self, microphone: Microphone, player: Player, changed: Callable[[], None]) -> None:
        self._microphone = microphone
        self._player = player
        self._changed = changed
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, connection: Json) -> None:
        """Connect with the connection from `startNewChat` or `joinSession`."""
        socket = self._socket = await connect(
            connection["url"],
            subprotocols=[Subprotocol("voxql.audio.v1")],
            compression=None,
            proxy=None,
        )
        hello = {"type": "hello", "token": connection["token"], "reportsPlayed": True}
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["type"] == "welcome"
        for work in (self._speak, self._listen, self._report):
            task = asyncio.create_task(work(socket))
            task.add_done_callback(lambda _: self._changed())
            self._tasks.append(task)

    def check(self) -> None:
        """Raise the error that broke the connection, if any."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._socket is not None:
            await self._socket.close()
        self._player.stop()

    async def _speak(self, socket: ClientConnection) -> None:
        async for piece in self._microphone.pieces():
            await socket.send(piece.astype("<i2").tobytes())

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                self._player.add(message)
            else:
                await self._obey(socket, json.loads(message))
            self._changed()

    async def _obey(self, socket: ClientConnection, frame: Json) -> None:
        match frame["type"]:
            case "begin":
                self._player.begin(frame["playout"])
            case "end":
                self._player.end(frame["playout"], frame["samples"])
            case "clear":
                await _played(socket, self._player.clear(frame["playout"]))

    async def _report(self, socket: ClientConnection) -> None:
        told: dict[str, int] = {}
        while True:
            self._player.advance()
            for reply in self._player.replies:
                if reply.samples > told.get(reply.playout, 0):
                    told[reply.playout] = reply.samples
                    if reply.silent_since is None:
                        await _played(socket, reply)
                    self._changed()
            await asyncio.sleep(REPORT_S)


async def _played(socket: ClientConnection, reply: Reply) -> None:
    frame = {"type": "played", "playout": reply.playout, "samples": reply.samples}
    await socket.send(json.dumps(frame))
