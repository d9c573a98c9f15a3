"""What the agent says first: once, and only while the person says nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PAUSE: Final = 0.6
"""Seconds of silence before it; who speaks within that is heard, and not greeted."""
ALONE: Final = 3.0
"""Seconds to wait for somebody who can hear it; then it is written."""


class Greeting:
    """Greets when the person has come, unless they speak or type before.

    Args:
        text: the greeting; empty: none.
        say: begins to say it once the person is silent, or to write it if nobody is there.
    """

    def __init__(self, text: str, say: Callable[[str], None]) -> None:
        self._text = text
        self._say = say
        self._person = asyncio.Event()

    def person_came(self) -> None:
        """Somebody can hear it."""
        self._person.set()

    def person_spoke(self) -> None:
        """The person has said or typed something."""
        self._text = ""  # too late

    async def said(self) -> None:
        """Greet when it is time; returns when it has begun, or will never be."""
        if not self._text:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(ALONE):
                await self._person.wait()
        await asyncio.sleep(PAUSE)
        text, self._text = self._text, ""
        if text:
            self._say(text)
