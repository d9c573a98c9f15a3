"""The local backend, without other servers: workers connect to this one, sound uses `/audio`."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from starlette.routing import BaseRoute, WebSocketRoute

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
    """

    def __init__(self, workers: Workers, tokens: Tokens, public_url: str) -> None:
        self._workers = workers
        self._tokens = tokens
        self._url = audio_url(public_url)

    def serve(self, listener: MediaListener) -> "LocalMediaServer":
        """Return what carries audio over `/audio`."""
        return LocalMediaServer(self._tokens, listener)

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
    """

    def __init__(self, tokens: Tokens, listener: MediaListener) -> None:
        self._relay = AudioRelay(tokens, listener)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route of `/audio`."""
        return [WebSocketRoute("/audio", self._relay.endpoint)]

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


def audio_url(public_url: str) -> str:
    """Return the address of `/audio` under the public URL."""
    parts = urlsplit(public_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/audio", "", ""))
