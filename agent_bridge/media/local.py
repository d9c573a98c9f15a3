"""Conversations without other servers: workers that connect to us, sound over `/audio`."""

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
"""Samples a second that a local connection expects of the person (docs/audio-protocol.md)."""


class LocalMedia:
    """See `agent_bridge.media.backend.MediaBackend`.

    Args:
        workers: Who runs agents.
        tokens: Makes and reads the tokens of media.
        public_url: Where people reach this server.
    """

    def __init__(self, workers: Workers, tokens: Tokens, public_url: str) -> None:
        self._workers = workers
        self._tokens = tokens
        self._url = audio_url(public_url)
        self._relay: AudioRelay | None = None

    @property
    def relay(self) -> AudioRelay:
        """Where sound passes, once it is known who attends."""
        assert self._relay is not None, "attend() comes first"
        return self._relay

    def listen(self, listener: MediaListener) -> None:
        """Let sound pass from now on."""
        self._relay = AudioRelay(self._tokens, listener)

    def routes(self) -> Sequence[BaseRoute]:
        """Return `/audio`."""
        return [WebSocketRoute("/audio", self.relay.endpoint)]

    async def run(self) -> None:
        """Do nothing: people and workers come and go by themselves."""

    def shut_down(self) -> None:
        """Close every connection of media."""
        self.relay.shut_down()

    async def condition(self) -> Condition:
        """Ready is who has a worker, full or not."""
        return Condition(self._workers.is_ready)

    def traffic(self) -> Traffic:
        """Return what the relay counts."""
        return Traffic(self.relay.connections, self.relay.dropped_seconds)

    def knows(self, agent_name: str) -> bool:
        """Whether a worker that is connected runs it."""
        return agent_name in self._workers.names()

    def free(self, agent_name: str) -> int:
        """Count the places of the workers."""
        return self._workers.free(agent_name)

    async def start(self, request: StartRequest) -> None:
        """Ask a worker.

        Raises:
            NoAgent: none is connected, or all are busy.
        """
        self._workers.start(request)

    def connection(self, session: str, room: str, attempt: int, access: str) -> MediaConnection:
        """Point to `/audio`."""
        token, expires_at = self._tokens.media(session, "person", attempt, access=access)
        return MediaConnection(
            transport=TRANSPORT,
            url=self._url,
            token=token,
            expires_at=expires_at,
            sample_rate=MICROPHONE_RATE,
        )

    def end(self, session: str, room: str) -> None:
        """Close both sides of its sound."""
        self.relay.end(session)


def audio_url(public_url: str) -> str:
    """Return the address of `/audio` beside the public one."""
    parts = urlsplit(public_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/audio", "", ""))
