"""What the person says, named as in the room."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ..client import new_segment
from ..protocol import Utterance

NAME_SECONDS: Final = 1.0
"""How long words wait for their name. It comes within a millisecond, unless the network is slow."""
STALE_SECONDS: Final = 3.0
"""After so long a stretch that was not shown will not be: the room was away at that moment."""

_ANSWERED: Final = 8
"""Turns of the person's that may be answered before any of them is recognised."""
_LATE: Final = timedelta(seconds=30)
"""A voice that long ago has not been recognised at all."""


@dataclass
class _Stretch:
    """What was said from the first words after a final to the next final."""

    began: datetime
    heard_at: float
    utterance: Utterance | None = None
    name: str = ""
    timer: asyncio.TimerHandle | None = None


class PersonWords:
    """Reports what the session heard, under the id that the room shows it under.

    The session's events have no such id. But the room shows what they say one by one and in their
    order, under a new id after each final; so the next new id names the oldest stretch that has
    not got one. Texts are never compared: people say the same thing twice.

    Args:
        utter: takes what is to be reported.
        is_shown: whether the room can show anything now.
    """

    def __init__(self, utter: Callable[[Utterance], None], is_shown: Callable[[], bool]) -> None:
        self._utter = utter
        self._is_shown = is_shown
        self._loop = asyncio.get_running_loop()
        self._open: _Stretch | None = None
        self._unshown: deque[_Stretch] = deque()
        self._shown = ""
        self._shows = True
        self._voice: datetime | None = None
        self._answered: deque[datetime] = deque(maxlen=_ANSWERED)

    def on_voice(self, at: datetime) -> None:
        """Note that the person began to speak."""
        if self._open is None:
            self._voice = at

    def on_answer(self) -> None:
        """Note that the agent begins to speak: what the person said may be recognised after that.

        Speech-to-speech models do so, and slow recognisers. The next words are those, then.
        """
        if self._open is None and self._voice is not None:
            self._answered.append(self._voice)
            self._voice = None

    def _began(self, at: datetime) -> datetime:
        """Return when the person began to say what is heard first now."""
        while self._answered:
            began = self._answered.popleft()
            if at - began < _LATE:
                return began
        voice, self._voice = self._voice, None
        return min(voice or at, at)

    def on_heard(
        self, text: str, final: bool, at: datetime, language: str | None, speaker: str | None
    ) -> None:
        """Take what the person has said so far, or finally."""
        if not text.strip():
            return
        if (stretch := self._open) is None:
            stretch = self._open = _Stretch(self._began(at), self._loop.time())
            self._unshown.append(stretch)
        stretch.heard_at = self._loop.time()
        stretch.utterance = Utterance(
            segment=stretch.name or "unnamed",
            role="USER",
            text=text,
            final=final,
            started_at=stretch.began,
            ended_at=at if final else None,
            language=language,
            speaker=speaker,
        )
        if final:
            self._open = None
        if stretch.name or not self._shows or not self._is_shown():
            self._report(stretch)
        elif stretch.timer is None:
            stretch.timer = self._loop.call_later(NAME_SECONDS, self._give_up, stretch)

    def on_shown(self, segment: str) -> None:
        """Take the id under which the room shows the next stretch, or shows one again."""
        if segment == self._shown:
            return
        self._shown, self._shows = segment, True
        stale = self._loop.time() - STALE_SECONDS
        while self._unshown and self._unshown[0].heard_at < stale:
            self._unshown.popleft()
        if self._unshown:
            stretch = self._unshown.popleft()
            if not stretch.name:
                stretch.name = segment
                self._report(stretch)

    def settle(self) -> None:
        """Report what waits for a name: there will be none."""
        while self._unshown:
            stretch = self._unshown.popleft()
            if not stretch.name:
                self._report(stretch)

    def finish(self) -> None:
        """Make a final of what was heard last: what was shown must not stay open for ever."""
        self.settle()
        if (stretch := self._open) is not None and (newest := stretch.utterance) is not None:
            now = datetime.now(UTC)
            self.on_heard(newest.text, True, now, newest.language, newest.speaker)
            self.settle()

    def _give_up(self, stretch: _Stretch) -> None:
        # Perhaps the agent shows nothing at all; then no other words shall wait for it.
        self._shows = stretch not in self._unshown
        self._report(stretch)

    def _report(self, stretch: _Stretch) -> None:
        if stretch.timer is not None:
            stretch.timer.cancel()
            stretch.timer = None
        stretch.name = stretch.name or new_segment()
        if stretch.utterance is not None:
            self._utter(replace(stretch.utterance, segment=stretch.name))
