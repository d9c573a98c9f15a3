"""Greets the person once, and only if they say nothing first."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PAUSE: Final = 0.6
"""Seconds of silence before the greeting; a person who speaks sooner is not greeted."""
ALONE: Final = 3.0
"""Seconds to wait for somebody to hear the greeting; after that it is written."""


class Greeting:
    """Greets the person when they join, unless they speak or type first.

    Args:
        text: the greeting; empty for none.
        say: starts to speak it once the person is silent, or to write it if nobody is there.
    """

    def __init__(self, text: str, say: Callable[[str], None]) -> None:
        self._text = text
        self._say = say
        self._person = asyncio.Event()

    def person_came(self) -> None:
        """Note that the person can hear the greeting."""
        self._person.set()

    def person_spoke(self) -> None:
        """Drop the greeting, because the person has spoken or typed."""
        self._text = ""  # too late

    async def said(self) -> None:
        """Greet when it is time; return once the greeting has begun or was dropped."""
        if not self._text:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(ALONE):
                await self._person.wait()
        await asyncio.sleep(PAUSE)
        text, self._text = self._text, ""
        if text:
            self._say(text)
