"""Which words of a growing sentence are shown: those on which two hypotheses in a row agree.

A recogniser that decodes a sentence from its beginning again and again changes its mind about the
newest words: their sound is cut off in the middle. Words that come and go are hard to read. This is
the local agreement of Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech
Recognition and Translation by Partial Hypothesis Selection" (Interspeech 2020).
"""

import re
from typing import Final

_EDGES: Final = re.compile(r"^\W+|\W+$")


class Agreement:
    """The hypotheses of one utterance. `shown` is what readers see of them."""

    def __init__(self) -> None:
        self.shown = ""
        self._newest = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of the newest hypothesis is shown."""
        return self.shown == self._newest

    def take(self, text: str) -> None:
        """Take the next hypothesis.

        Words that are shown stay until two hypotheses in a row say otherwise. Of the first one a
        single word is shown: that somebody says something is worth more than what.
        """
        words = text.split()
        agreed = _alike(self._newest.split(), words) if self._newest else 1
        shown = self.shown.split()
        stays = _alike(shown, words)
        if agreed > stays or (agreed == stays == len(shown)):
            # The recogniser ends each hypothesis like a sentence; this one goes on.
            self.shown = " ".join(words[:agreed]).rstrip(".,;:!?…")
        self._newest = text

    def show_all(self) -> None:
        """Show the newest hypothesis whole: the next one is late, or there is none."""
        self.shown = self._newest


def _alike(some: list[str], others: list[str]) -> int:
    """Return how many words both begin with, whatever their case and punctuation."""
    count = 0
    for one, other in zip(some, others, strict=False):
        if _EDGES.sub("", one).casefold() != _EDGES.sub("", other).casefold():
            break
        count += 1
    return count
