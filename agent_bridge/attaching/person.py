"""Reports what the person says, under the segment ids that the room uses."""

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
"""How long words wait for their id. It comes within a millisecond, unless the network is slow."""
STALE_SECONDS: Final = 3.0
"""A stretch not shown within this time never will be: the room was disconnected just then."""

_ANSWERED: Final = 8
"""How many turns of the person may be answered before any of them is recognised."""
_LATE: Final = timedelta(seconds=10)
"""Words that come this long after an answer are not what it answered; that voice was no speech."""


@dataclass
class _Voice:
    """The start of a sound from the person, who may have said nothing."""

    began: datetime
    noted_at: float
    """When it was noted, by the loop's clock."""
    answered: datetime | None = None
    is_passed_over: bool = False
    """Whether words that came after it were attributed to an older voice."""


@dataclass
class _Stretch:
    """A stretch of speech: from the first words after a final up to the next final."""

    began: datetime
    heard_at: float
    utterance: Utterance | None = None
    name: str = ""
    timer: asyncio.TimerHandle | None = None


class PersonWords:
    """Reports what the session heard, under the segment ids that the room uses.

    The session's events have no segment id. But the room shows the same words one by one, in the
    same order, and with a new id after each final. So each new id names the oldest stretch that has
    none. Texts are never compared: people say the same thing twice.

    Args:
        utter: Reports an utterance.
        is_shown: Returns whether the room can show anything now.
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
        """Note that the agent began to speak, perhaps before the person's words were recognised.

        Speech-to-speech models and slow recognisers recognise them later. So the next words count
        as those that were answered, unless they come too late.
        """
        if self._open is None and (voice := self._voice) is not None:
            # By the clock of the events' timestamps.
            voice.answered = voice.began + timedelta(seconds=self._loop.time() - voice.noted_at)
            self._answered.append(voice)
            self._voice = None

    def _began(self, at: datetime) -> datetime:
        """Return when the person began the stretch whose first words are heard now."""
        while self._answered:
            older = self._answered.popleft()
            if self._is_awaited(older, at):
                if self._voice is not None:
                    # The words may belong to the newer voice, and the older one was a cough. Then
                    # only this turn gets a wrong time: no later one may take its predecessor's.
                    self._answered.clear()
                    self._voice.is_passed_over = True
                return older.began
        voice, self._voice = self._voice, None
        return at if voice is None else min(voice.began, at)

    def _is_awaited(self, older: _Voice, at: datetime) -> bool:
        """Whether words heard at this time may belong to this answered voice."""
        if older.answered is None or at - older.answered > _LATE:
            return False
        return not (older.is_passed_over and self._voice is not None)

    def on_heard(
        self, text: str, final: bool, at: datetime, language: str | None, speaker: str | None
    ) -> None:
        """Take an interim or final of what the person said."""
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
        """Take the id under which the room shows the next stretch, or the same one again."""
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
        """Report the words that wait for an id: none will come, so they get random ones."""
        while self._unshown:
            stretch = self._unshown.popleft()
            if not stretch.name:
                self._report(stretch)

    def finish(self) -> None:
        """Report the last interim as a final, so that no segment stays open for ever."""
        self.settle()
        if (stretch := self._open) is not None and (newest := stretch.utterance) is not None:
            now = datetime.now(UTC)
            self.on_heard(newest.text, True, now, newest.language, newest.speaker)
            self.settle()

    def _give_up(self, stretch: _Stretch) -> None:
        # The agent may show nothing at all; then later words must not wait for an id.
        self._shows = stretch not in self._unshown
        self._report(stretch)

    def _report(self, stretch: _Stretch) -> None:
        if stretch.timer is not None:
            stretch.timer.cancel()
            stretch.timer = None
        stretch.name = stretch.name or new_segment()
        if stretch.utterance is not None:
            self._utter(replace(stretch.utterance, segment=stretch.name))
