"""Checks Host headers, so that a foreign page can't reach the server under a name of its own."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN_PATHS: Final = ("/bridge", "/audio", "/livekit/webhook", "/healthz", "/readyz", "/metrics")
"""Agents, LiveKit and probes may use any address; cookies grant nothing on these paths."""

_SHOWN: Final = 100
"""Characters of a Host header that an error shows."""
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


class TrustedHosts:
    """Refuses requests and handshakes for other names than ours.

    A foreign name can be pointed at this address (DNS rebinding); a page of that name then counts
    as same-origin in the browser. Starlette's own middleware supports neither IPv6 addresses nor
    open paths, and its refusal does not say what to do.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app for our own names and for open paths; refuse the rest."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._is_ours(scope):
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")[:_SHOWN]
        sentence = (
            f"This server does not go by the name {host!r}; it goes by "
            f"{', '.join(sorted(self._names))}. If it is right, start it with VOXQL_PUBLIC_URL set "
            "to the address in your browser, or add the name to VOXQL_ALLOWED_HOSTS.\n"
        )
        # Also for a handshake: Starlette refuses it with an HTTP response, which uvicorn supports.
        await PlainTextResponse(sentence, 421)(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        return host_name(Headers(scope=scope).get("host", "")) in self._names


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and IPv6 brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def our_names(public_url: str, bound_to: str, others: Iterable[str] = ()) -> set[str]:
    """Return the names that people may use for this server, on this machine and elsewhere."""
    public = urlsplit(public_url).hostname or ""
    names = (*_THIS_MACHINE, bound_to.strip("[]"), public, *map(str.lower, others))
    return {name for name in names if name}
