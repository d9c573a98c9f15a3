"""Tells the turns of the event loop apart."""

import asyncio


class Ticks:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._number = 0
        self._is_noted = False

    def now(self) -> int:
        """Return a number that is another one from the next turn of the loop on."""
        if not self._is_noted:
            self._is_noted = True
            asyncio.get_running_loop().call_soon(self._next)
        return self._number

    def _next(self) -> None:
        self._is_noted = False
        self._number += 1
