"""Makes and reads the tokens of the bridge, of local media and of browsers.

Each opens one thing, for a limited time. A browser's token opens nothing: it only identifies a
known browser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

import jwt

BRIDGE_LIFETIME: Final = timedelta(hours=24)
"""How long an agent may still deliver what it holds."""
PERSON_LIFETIME: Final = timedelta(minutes=15)
"""How long a person has to connect; an open connection is not cut."""
BROWSER_LIFETIME: Final = timedelta(days=365)
"""How long a browser is known after somebody has signed in with it."""
AGENT_MEDIA_LIFETIME: Final = timedelta(hours=24)

SHORTEST_SECRET: Final = 32
"""Bytes; RFC 7518 section 3.2 requires as many as the hash has."""

_ALGORITHM: Final = "HS256"
_BRIDGE_AUDIENCE: Final = "voxql.bridge"
_MEDIA_AUDIENCE: Final = "voxql.media"
_BROWSER_AUDIENCE: Final = "voxql.browser"

MediaRole = Literal["person", "agent"]


class TokenRefused(Exception):
    """The token is not ours, not for this, or too old; the message never contains the token."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a bridge token allows: one attempt of one session."""

    session: str
    attempt: int


@dataclass(frozen=True, slots=True)
class MediaGrant:
    """What a media token allows: one side of one session's audio."""

    session: str
    role: MediaRole
    attempt: int
    expires_at: datetime
    access: str = ""
    """The login or API token that a person's grant was made from; the grant ends with it."""


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """A browser in which somebody has signed in to an account."""

    user_id: str
    id: str


class Tokens:
    """Makes and reads tokens; every process of an installation has the same secret."""

    def __init__(self, secret: bytes | str) -> None:
        self._secret = secret.encode() if isinstance(secret, str) else secret
        if len(self._secret) < SHORTEST_SECRET:
            raise ValueError(f"the secret of the tokens must be at least {SHORTEST_SECRET} bytes")

    def bridge(self, session: str, attempt: int, *, lifetime: timedelta = BRIDGE_LIFETIME) -> str:
        """Make the token with which an agent opens its connection."""
        return self._make(_BRIDGE_AUDIENCE, session, attempt, lifetime)[0]

    def media(
        self,
        session: str,
        role: MediaRole,
        attempt: int,
        *,
        access: str = "",
        lifetime: timedelta | None = None,
    ) -> tuple[str, datetime]:
        """Make the token with which one side opens its audio; return it and when it expires.

        Args:
            session: The session of the audio.
            role: The side.
            attempt: The agent's attempt.
            access: The id of the person's login or API token; agents have none.
            lifetime: Replaces the usual lifetime.
        """
        usual = PERSON_LIFETIME if role == "person" else AGENT_MEDIA_LIFETIME
        more = {"access": access} if access else {}
        return self._make(_MEDIA_AUDIENCE, session, attempt, lifetime or usual, role=role, **more)

    def browser(self, user_id: str) -> tuple[str, timedelta]:
        """Make the token that identifies a known browser; return it and its lifetime."""
        now = datetime.now(UTC)
        claims = {"aud": _BROWSER_AUDIENCE, "sub": user_id, "jti": uuid4().hex, "iat": now}
        claims["exp"] = now + BROWSER_LIFETIME
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM), BROWSER_LIFETIME

    def read_browser(self, token: str) -> KnownBrowser | None:
        """Read a browser's token; None if it is not ours, or too old."""
        try:
            claims = self._read(token, _BROWSER_AUDIENCE)
        except TokenRefused:
            return None
        return KnownBrowser(claims["sub"], str(claims.get("jti")))

    def read_bridge(self, token: str) -> Binding:
        """Read a bridge token.

        Raises:
            TokenRefused: The token is not ours, not for the bridge, or too old.
        """
        claims = self._read(token, _BRIDGE_AUDIENCE)
        return Binding(claims["sub"], _attempt(claims))

    def read_media(self, token: str) -> MediaGrant:
        """Read a media token.

        Raises:
            TokenRefused: The token is not ours, not for media, or too old.
        """
        claims = self._read(token, _MEDIA_AUDIENCE)
        role = claims.get("role")
        if role != "person" and role != "agent":
            raise TokenRefused("the token names no role")
        access = claims.get("access", "")
        if not isinstance(access, str) or (role == "person" and not access):
            raise TokenRefused("the token names no login that it was made from")
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        return MediaGrant(claims["sub"], role, _attempt(claims), expires_at, access)

    def _make(
        self, audience: str, session: str, attempt: int, lifetime: timedelta, **more: str
    ) -> tuple[str, datetime]:
        now = datetime.now(UTC)
        expires_at = (now + lifetime).replace(microsecond=0)
        claims = {
            "aud": audience,
            "sub": session,
            "attempt": attempt,
            "iat": now,
            "exp": expires_at,
            # Distinguishes two tokens made in the same second.
            "jti": uuid4().hex,
            **more,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM), expires_at

    def _read(self, token: str, audience: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._secret,
                # Pinned: the token's own header must not choose it (RFC 8725 section 3.1).
                algorithms=[_ALGORITHM],
                audience=audience,
                # `iat` is not checked: a process whose clock is a little behind must not refuse it.
                options={"require": ["aud", "exp", "iat", "sub"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("the token has expired") from error
        # A token with half a surrogate pair can't even be encoded.
        except (jwt.InvalidTokenError, UnicodeError) as error:
            raise TokenRefused("the token is not valid here") from error


def _attempt(claims: Mapping[str, Any]) -> int:
    attempt = claims.get("attempt")
    if type(attempt) is not int or attempt < 1:
        raise TokenRefused("the token names no attempt")
    return attempt
