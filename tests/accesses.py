"""Revocable logins for doubles of `agent_bridge.media.backend.MediaListener`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from agent_bridge.media.backend import AccessEnded

LOGIN: Final = "log_of_a_test"
"""The default login of test connections."""


class Accesses:
    """Logins that stay valid until `end` is called."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._watched: dict[str, list[Callable[[], None]]] = {}

    @asynccontextmanager
    async def admitted(self, access: str, on_end: Callable[[], None]) -> AsyncIterator[None]:
        """Watch a valid login and call `on_end` when it ends."""
        if access in self._ended:
            raise AccessEnded
        watched = self._watched.setdefault(access, [])
        watched.append(on_end)
        try:
            yield
        finally:
            watched.remove(on_end)

    def end(self, access: str = LOGIN) -> None:
        """Revoke the login."""
        self._ended.add(access)
        for on_end in list(self._watched.get(access, ())):
            on_end()

    def watched(self, access: str = LOGIN) -> int:
        """Return how many connections watch this login."""
        return len(self._watched.get(access, ()))
