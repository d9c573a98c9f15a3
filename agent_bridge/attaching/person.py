"""What the person says, named as in the room."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from ..client.bridge import new_segment
from ..protocol import Utterance

NAME_SECONDS: Final = 1.0
"""How long words wait for their name. It comes within a millisecond, unless the network is slow."""
STALE_SECONDS: Final = 3.0
"""After so long a stretch that was not shown will not be: the room was away at that moment."""

_ANSWERED: Final = 8
"""Turns of the person's that may be answered before any of them is recognised."""
_LATE: Final = timedelta(seconds=10)
"""Words that come so long after an answer are not what it answered: that was no speech."""


@dataclass
class _Voice:
    """A time at which the person began to make themselves heard; perhaps they said nothing."""

    began: datetime
    noted_at: float
    """When that was noted, by the loop's clock."""
    answered: datetime | None = None
    is_passed_over: bool = False
    """Whether words that came after it were taken for those of an older voice."""


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
        self._voice: _Voice | None = None
        self._answered: deque[_Voice] = deque(maxlen=_ANSWERED)

    def on_voice(self, at: datetime) -> None:
        """Note that the person began to speak."""
        if self._open is None:
            self._voice = _Voice(at, self._loop.time())

    def on_answer(self) -> None:
        """Note that the agent begins to speak: what the person said may be recognised after that.

        Speech-to-speech models do so, and slow recognisers. The next words are those, then, unless
        they come too late for it.
        """
        if self._open is None and (voice := self._voice) is not None:
            # By the clock that dates voices and words.
            voice.answered = voice.began + timedelta(seconds=self._loop.time() - voice.noted_at)
            self._answered.append(voice)
            self._voice = None

    def _began(self, at: datetime) -> datetime:
        """Return when the person began to say what is heard first now."""
        while self._answered:
            older = self._answered.popleft()
            if self._is_awaited(older, at):
                if self._voice is not None:
                    # It may be the newer one's words after all, and the older one a cough. Then
                    # this turn alone has a wrong time: no later one shall take its predecessor's.
                    self._answered.clear()
                    self._voice.is_passed_over = True
                return older.began
        voice, self._voice = self._voice, None
        return at if voice is None else min(voice.began, at)

    def _is_awaited(self, older: _Voice, at: datetime) -> bool:
        """Whether what is heard at this time may be what an answered voice said."""
        if older.answered is None or at - older.answered > _LATE:
            return False
        return not (older.is_passed_over and self._voice is not None)

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
