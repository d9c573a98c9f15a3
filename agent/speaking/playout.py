"""Tracks how much of a reply the person has heard, by their reports or else by the clock."""

import secrets
from typing import Final

from agent.speaking.spoken import words_of
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE

_HEARD: Final = 0.35
"""The fraction of a word that must be heard: about when a listener guesses the rest."""


class TimedWords:
    """The text of a reply, with the time of each word in the audio.

    The number of samples heard tells which words were heard. livekit's `TranscriptSynchronizer` is
    not used: it estimates them by the wall clock since the start, which differs from the reports of
    the person's side after a stall, a late start or an interruption.
    """

    def __init__(self) -> None:
        self._words: list[tuple[str, int, int]] = []

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(word for word, _, _ in self._words).strip()

    def add(self, word: str, began: int, ended: int) -> None:
        """Add a word with its spaces; its times count samples from the start of the reply."""
        self._words.append((word, began, ended))

    def heard(self, samples: int) -> str:
        """Return the whole words heard within this many samples, a prefix of the text."""
        heard = [
            word for word, began, ended in self._words if samples > began + _HEARD * (ended - began)
        ]
        return "".join(heard).strip()

    def spread(self, text: str, samples: int) -> None:
        """Add Markdown spread evenly over the samples, for voices that report no times."""
        words = words_of(text)
        total = sum(length + 1 for _, length in words)
        at = 0
        for word, length in words:
            began, at = at, at + length + 1
            self.add(word, samples * began // total, samples * at // total)


class Playout:
    """The playback of one reply. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.id = f"ply_{secrets.token_hex(12)}"
        self.waiting = bytearray()
        """Audio that has not been sent."""
        self.made = 0
        """How many samples the voice has produced."""
        self.is_complete = False
        """No more samples will come."""
        self.is_whole = False
        """The audio is the whole reply, not only what was produced before it was cut off."""
        self.is_cleared = False
        self.sent = 0
        self.reported = 0
        self.reported_at = 0.0
        self._runs_dry = 0.0

    @property
    def began(self) -> bool:
        """Whether anything has been sent."""
        return self.sent > 0

    def lead(self, now: float) -> float:
        """Return how many seconds of audio the person's side should have left to play."""
        return self._runs_dry - now

    def took(self, samples: int, now: float) -> None:
        """Note that samples were sent."""
        self.sent += samples
        self._runs_dry = max(self._runs_dry, now) + samples / OUTPUT_SAMPLE_RATE

    def report(self, samples: int, now: float) -> None:
        """Note how many samples the person's side reports as played, at most those sent."""
        self.reported = max(self.reported, min(samples, self.sent))
        self.reported_at = now

    def played(self, now: float, *, reports: bool) -> int:
        """Return how many samples were heard; without reports, assume playback on arrival."""
        if reports:
            return self.reported
        unplayed = max(0.0, self._runs_dry - now) * OUTPUT_SAMPLE_RATE
        return max(0, self.sent - round(unplayed))
