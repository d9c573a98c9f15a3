"""The media connection that a person gets for a running session."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from models import Session
from resolvers.backend import Backend

LOCAL: Final = "LOCAL"
MICROPHONE_RATE: Final = 16_000
"""Samples a second that a local connection expects of the person (docs/audio-protocol.md)."""


@dataclass(frozen=True, slots=True)
class MediaConnection:
    """Where and with which token the person's media connects."""

    transport: str
    url: str
    token: str
    expires_at: datetime
    room_name: str | None = None
    sample_rate: int | None = None


def connection_for(backend: Backend, session: Session) -> MediaConnection:
    """Make a fresh connection, good for this session alone."""
    token, expires_at = backend.tokens.media(session.id, "person", session.attempt)
    return MediaConnection(
        transport=LOCAL,
        url=audio_url(backend.config.public_url),
        token=token,
        expires_at=expires_at,
        sample_rate=MICROPHONE_RATE,
    )


def audio_url(public_url: str) -> str:
    """Return the address of `/audio` beside the public one."""
    parts = urlsplit(public_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/audio", "", ""))
