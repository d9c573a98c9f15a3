"""The `/audio` connection: sends the person's audio, plays the agent's, reports what was heard."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from terminal.audio.source import Source
from terminal.audio.speaker import Speaker
from terminal.client.server import GraphQLClient
from terminal.refusal import CannotTalk

SUBPROTOCOL: Final = Subprotocol("voxql.audio.v1")
_REPORT_S: Final = 0.1
_TRIES: Final = 8
_ENDED: Final = (1000, 4410)
_AGAIN: Final = frozenset({1006, 1011, 1012, 4408, 4429})
"""Close codes after which the protocol says to reconnect."""


@dataclass(frozen=True, slots=True)
class MediaAccess:
    """The address of a media connection, and the token for it."""

    url: str
    token: str


class AudioClient:
    """Carries the audio of one conversation until the server ends it or it is cancelled.

    Args:
        server: provides the proxy setting, and the error if it can't be reached.
        source: provides the person's audio.
        speaker: plays the agent's audio.
        renew: requests a fresh media connection after a loss; tokens last for 15 minutes.
    """

    def __init__(
        self,
        server: GraphQLClient,
        source: Source,
        speaker: Speaker,
        renew: Callable[[], Awaitable[MediaAccess]],
    ) -> None:
        self._server = server
        self._source = source
        self._speaker = speaker
        self._renew = renew
        self.connected = asyncio.Event()
        self.replies = 0
        """How many spoken replies have begun."""

    async def run(self, media: MediaAccess) -> None:
        """Carry audio, and reconnect after a loss.

        Raises:
            CannotTalk: when the server does not want this connection, or is gone.
        """
        failures = 0
        while True:
            try:
                async with self._connect(media) as socket:
                    await self._greet(socket, media.token)
                    failures = 0
                    await self._carry(socket)
                return
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                if code in _ENDED:
                    return
                if code not in _AGAIN:
                    reason = closed.rcvd.reason if closed.rcvd else ""
                    raise CannotTalk(
                        f"The server closed the sound's connection: {reason}"
                    ) from None
                lost: Exception = closed
            except (OSError, InvalidHandshake) as error:
                lost = error
            self._speaker.playouts.lost()
            failures += 1
            if failures > _TRIES:
                raise self._server.unreachable(lost)
            await asyncio.sleep(random.uniform(0, min(10, 0.1 * 2**failures)))  # noqa: S311
            media = await self._renewed(media)

    def _connect(self, media: MediaAccess) -> connect:
        return connect(
            media.url,
            subprotocols=[SUBPROTOCOL],
            compression=None,
            max_size=2**17,
            proxy=self._server.proxy,
        )

    async def _renewed(self, media: MediaAccess) -> MediaAccess:
        try:
            return await self._renew()
        except CannotTalk:
            # Nobody answers; the next connection attempt reports this, or succeeds.
            return media

    async def _greet(self, socket: ClientConnection, token: str) -> None:
        await _send(socket, {"type": "hello", "token": token, "reportsPlayed": True})
        await socket.recv()
        self.connected.set()

    async def _carry(self, socket: ClientConnection) -> None:
        tasks = [
            asyncio.create_task(work(socket)) for work in (self._speak, self._report, self._listen)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(await self._source.next())

    async def _report(self, socket: ClientConnection) -> None:
        while True:
            self._speaker.advance()
            for report in self._speaker.playouts.reports():
                await _send(socket, _played(report.playout, report.samples))
            await asyncio.sleep(_REPORT_S)

    async def _listen(self, socket: ClientConnection) -> None:
        speaker = self._speaker
        # `async for` would hide the code of a normal end.
        while True:
            message = await socket.recv()
            if isinstance(message, bytes):
                speaker.playouts.add(message)
                speaker.advance()
                continue
            frame = json.loads(message)
            match frame.get("type"):
                case "begin":
                    self.replies += 1
                    speaker.playouts.begin(frame["playout"])
                case "end":
                    speaker.playouts.end(frame["playout"])
                case "clear":
                    speaker.cut(frame["playout"])
                    report = speaker.playouts.report_of(frame["playout"])
                    await _send(socket, _played(report.playout, report.samples))


def _played(playout: str, samples: int) -> dict[str, object]:
    return {"type": "played", "playout": playout, "samples": samples}


async def _send(socket: ClientConnection, frame: dict[str, object]) -> None:
    await socket.send(json.dumps(frame))
