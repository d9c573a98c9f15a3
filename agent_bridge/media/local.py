"""The local backend, without other servers: workers connect to this one, sound uses `/audio`."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from agent_bridge.media.audio import AudioRelay
from agent_bridge.media.backend import Condition, MediaConnection, MediaListener, Traffic
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import StartRequest, Workers

TRANSPORT: Final = "LOCAL"
MICROPHONE_RATE: Final = 16_000
"""Samples per second that a local connection expects from the person (docs/audio-protocol.md)."""


class LocalMedia:
    """Implements `agent_bridge.media.backend.MediaBackend` without other servers.

    Args:
        workers: The workers that run agents.
        tokens: Makes and reads media tokens.
        public_url: The address at which people reach this server.
        is_sole: Whether this is the only process. Of several, none carries sound: a person and an
            agent would seldom meet in the same one.
    """

    def __init__(
        self, workers: Workers, tokens: Tokens, public_url: str, *, is_sole: bool = True
    ) -> None:
        self._is_sole = is_sole
        self._workers = workers
        self._tokens = tokens
        self._url = audio_url(public_url)

    def serve(self, listener: MediaListener) -> "LocalMediaServer":
        """Return what carries audio over `/audio`."""
        return LocalMediaServer(self._tokens, listener, carries_sound=self._is_sole)

    async def condition(self) -> Condition:
        """Report ready if any worker is connected, full or not."""
        return Condition(self._workers.is_ready)

    def knows(self, agent_name: str) -> bool:
        """Whether a connected worker runs this agent."""
        return agent_name in self._workers.names()

    def free(self, agent_name: str) -> int:
        """Return the workers' free places for this agent."""
        return self._workers.free(agent_name)

    async def start(self, request: StartRequest) -> None:
        """Ask a worker for an agent.

        Raises:
            NoAgent: No worker that runs it is connected, or all of them are busy.
        """
        self._workers.start(request)

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Make a connection to `/audio`."""
        token, expires_at = self._tokens.media(session, "person", attempt, access=access)
        return MediaConnection(
            transport=TRANSPORT,
            url=self._url,
            token=token,
            expires_at=expires_at,
            sample_rate=MICROPHONE_RATE,
        )


class LocalMediaServer:
    """Carries audio over `/audio`; see `agent_bridge.media.backend.MediaServer`.

    Args:
        tokens: Reads media tokens.
        listener: Hears of people.
        carries_sound: Whether it does, or refuses all connections.
    """

    def __init__(
        self, tokens: Tokens, listener: MediaListener, *, carries_sound: bool = True
    ) -> None:
        self._relay = AudioRelay(tokens, listener)
        self._carries_sound = carries_sound

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route of `/audio`."""
        endpoint = self._relay.endpoint if self._carries_sound else _no_sound
        return [WebSocketRoute("/audio", endpoint)]

    async def run(self) -> None:
        """Do nothing: people and workers connect by themselves."""

    def shut_down(self) -> None:
        """Close every media connection."""
        self._relay.shut_down()

    def traffic(self) -> Traffic:
        """Return what the relay counts."""
        return Traffic(self._relay.connections, self._relay.dropped_seconds)

    def end(self, session: str, room: str) -> None:
        """Close both sides of the session's audio."""
        self._relay.end(session)


async def _no_sound(websocket: WebSocket) -> None:
    await websocket.receive()
    sentence = "Several processes serve here, so LiveKit has to carry sound: VOXQL_AGENT=livekit.\n"
    await websocket.send_denial_response(PlainTextResponse(sentence, 501))


def audio_url(public_url: str) -> str:
    """Return the address of `/audio` under the public URL."""
    parts = urlsplit(public_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/audio", "", ""))
