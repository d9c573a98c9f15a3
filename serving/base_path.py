"""The path under which a proxy offers the server, as in https://example.org/voice."""

from starlette.types import ASGIApp, Receive, Scope, Send


class BasePath:
    """Serves everything under a path, and at the root for proxies that take the path away.

    Args:
        app: What is served; it sees paths without the prefix.
        path: The prefix, with a slash in front and none at the end.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, without the prefix."""
        path = scope.get("path", "")
        if path == self._path or path.startswith(f"{self._path}/"):
            scope = {**scope, "path": path.removeprefix(self._path) or "/"}
        await self._app(scope, receive, send)
