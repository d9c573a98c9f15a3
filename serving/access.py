"""Authenticates requests: by cookie only from our own pages, by bearer token from any origin."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from agent_bridge.server.tokens import KnownBrowser
from resolvers.accounts import authentication
from resolvers.accounts.login import NewLogin
from resolvers.backend import Backend
from resolvers.refusals import Unauthenticated
from resolvers.viewer import Viewer

_PORTS = {"http": 80, "https": 443}
_LOOPBACK = "localhost"

Origin = tuple[str, str, int | None]
"""Scheme, host and port; all loopback addresses count as one host."""


def origin_of(url: str) -> Origin | None:
    """Return the origin of a URL or an Origin header, or None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in _PORTS:
        return None
    return parts.scheme, _host(parts.hostname), port


class Access:
    """Checks the credentials of requests and manages their cookies.

    Cookies are accepted only from pages of the origin of `public_url`. With an https URL they are
    Secure, and their names begin with `__Host-`, or with `__Secure-` if the URL has a path.
    """

    def __init__(self, backend: Backend, public_url: str) -> None:
        self._backend = backend
        self._own = origin_of(public_url)
        self._is_secure = public_url.startswith("https:")
        self._path = urlsplit(public_url).path or "/"
        # https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
        strict = "__Host-" if self._path == "/" else "__Secure-"
        prefix = strict if self._is_secure else ""
        self.cookie = f"{prefix}voxql_login"
        self.browser_cookie = f"{prefix}voxql_browser"

    def is_foreign(self, headers: Mapping[str, str]) -> bool:
        """Return whether a page of another origin sent this request.

        Programs send neither Origin nor Sec-Fetch-Site. Browsers omit Origin only on same-origin
        GETs, which carry Sec-Fetch-Site.
        """
        origin = headers.get("origin")
        if origin is not None:
            return self._own is None or origin_of(origin) != self._own
        return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")

    async def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """Return the viewer who sent this request, or None if it is anonymous.

        Raises:
            Unauthenticated: when its bearer token is invalid; such a request is never treated as
                anonymous.
        """
        authorization = connection.headers.get("authorization")
        if authorization is not None and not authorization.lower().startswith("basic "):
            return await self.bearer(authorization)
        return await self.login(connection)

    async def bearer(self, authorization: object) -> Viewer:
        """Return the viewer of an Authorization header, `Bearer …`.

        Raises:
            Unauthenticated: when it holds no valid token.
        """
        scheme, _, secret = str(authorization).partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("Authorization must be `Bearer ` and an API token.")
        return await authentication.viewer_of_token(self._backend.clock, secret.strip())

    async def login(self, connection: HTTPConnection) -> Viewer | None:
        """Return the viewer of the login cookie; None from a page of another origin."""
        secret = connection.cookies.get(self.cookie)
        if not secret or self.is_foreign(connection.headers):
            return None
        return await authentication.viewer_of_login(self._backend.clock, secret)

    def set_cookie(self, response: Response, new_login: NewLogin) -> None:
        """Set the cookies of a new login."""
        lifetime = new_login.expires_at - datetime.now(UTC)
        self._set(response, self.cookie, new_login.secret, lifetime)
        if new_login.browser is not None:
            self._set(response, self.browser_cookie, *new_login.browser)

    def _set(self, response: Response, name: str, value: str, lifetime: timedelta) -> None:
        response.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            path=self._path,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )

    def browser(self, connection: HTTPConnection) -> KnownBrowser | None:
        """Return the known browser that sent this; by itself it grants no access."""
        token = connection.cookies.get(self.browser_cookie)
        return self._backend.tokens.read_browser(token) if token else None

    def clear_cookie(self, response: Response) -> None:
        """Clear the login cookie."""
        response.delete_cookie(
            self.cookie, path=self._path, secure=self._is_secure, httponly=True, samesite="lax"
        )


def _host(name: str) -> str:
    try:
        return _LOOPBACK if ip_address(name).is_loopback else name
    except ValueError:
        return name
