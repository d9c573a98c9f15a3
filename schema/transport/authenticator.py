"""What the transports ask about the sender of a request; `serving.access` implements it."""

from collections.abc import Mapping
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.responses import Response

from agent_bridge.server.tokens import KnownBrowser
from resolvers.accounts.login import NewLogin
from resolvers.viewer import Viewer


class Authenticator(Protocol):
    """Reads the credentials of requests, and manages the login's cookies."""

    def is_foreign(self, headers: Mapping[str, str]) -> bool:
        """Return whether a page of another origin sent this request."""

    async def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """Return the viewer who sent this request, or None if it is anonymous.

        Raises:
            Unauthenticated: when its bearer token is invalid.
        """

    async def bearer(self, authorization: object) -> Viewer:
        """Return the viewer of an Authorization header, `Bearer …`.

        Raises:
            Unauthenticated: when it holds no valid token.
        """

    def browser(self, connection: HTTPConnection) -> KnownBrowser | None:
        """Return the known browser that sent this; by itself it grants no access."""

    def set_cookie(self, response: Response, new_login: NewLogin) -> None:
        """Set the cookies of a new login."""

    def clear_cookie(self, response: Response) -> None:
        """Clear the login cookie."""
