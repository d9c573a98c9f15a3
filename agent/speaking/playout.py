"""How much of one reply the person has heard: by their reports, or else by the clock."""

import secrets
from typing import Final

from agent.speaking.spoken import words_of
from agent_bridge.protocol.audio import OUTPUT_SAMPLE_RATE

_HEARD: Final = 0.35
"""The part of a word after which it counts as heard: about when a listener guesses the rest."""


class Words:
    """The text of a reply with the time of each word, as the voice says it.

    Whether a word was heard follows from the samples that were. livekit's `TranscriptSynchronizer`
    estimates it by the wall clock since the start instead, which is not what the person's side
    reports after a stall, a late start or an interruption; so it is not used here.
    """

    def __init__(self) -> None:
        self._words: list[tuple[str, int, int]] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(word for word, _, _ in self._words).strip()

    def add(self, word: str, began: int, ended: int) -> None:
        """Add a word with its spaces; its place counts samples from the reply's beginning."""
        self._words.append((word, began, ended))

    def heard(self, samples: int) -> str:
        """Return the text of so many samples: whole words, always a prefix of all of it."""
        heard = [
            word for word, began, ended in self._words if samples > began + _HEARD * (ended - began)
        ]
        return "".join(heard).strip()

    def spread(self, text: str, samples: int) -> None:
        """Take Markdown without times as spread evenly over samples, for voices that tell none."""
        words = words_of(text)
        total = sum(length + 1 for _, length in words)
        at = 0
        for word, length in words:
            began, at = at, at + length + 1
            self.add(word, samples * began // total, samples * at // total)


class Playout:
    """One reply on its way to the loudspeaker. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.id = f"ply_{secrets.token_hex(12)}"
        self.waiting = bytearray()
        """Samples that have not been sent."""
        self.made = 0
        """How many samples the voice has made of it."""
        self.is_complete = False
        """No more samples will come."""
        self.is_whole = False
        """What came is all of the reply, not what had been made of it when it was cut off."""
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
        """Return how many seconds of sound the person's side should have in hand."""
        return self._runs_dry - now

    def took(self, samples: int, now: float) -> None:
        """Note that samples were sent."""
        self.sent += samples
        self._runs_dry = max(self._runs_dry, now) + samples / OUTPUT_SAMPLE_RATE

    def report(self, samples: int, now: float) -> None:
        """Note what the person's side says it has played; it can't be more than it was sent."""
        self.reported = max(self.reported, min(samples, self.sent))
        self.reported_at = now

    def played(self, now: float, *, reports: bool) -> int:
        """Return how many samples have been heard; without reports, as if played on arrival."""
        if reports:
            return self.reported
        unplayed = max(0.0, self._runs_dry - now) * OUTPUT_SAMPLE_RATE
        return max(0, self.sent - round(unplayed))
