"""Serves the app under a path of a proxy, as in https://example.org/voice."""

from starlette.types import ASGIApp, Receive, Scope, Send


class BasePath:
    """Serves an app under a path, and at the root for proxies that strip the path.

    Args:
        app: The app; it sees paths without the prefix.
        path: The prefix, with a leading slash and no trailing one.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app without the prefix."""
        path = scope.get("path", "")
        if path == self._path or path.startswith(f"{self._path}/"):
            scope = {**scope, "path": path.removeprefix(self._path) or "/"}
        await self._app(scope, receive, send)
