"""Shows the words of a growing sentence on which two hypotheses in a row agree.

A recogniser that decodes a growing sentence repeatedly from its start revises the newest words,
because their audio is cut off. Words that appear and disappear are hard to read. This is the local
agreement of Liu, Spanakis and Niehues, "Low-Latency Sequence-to-Sequence Speech Recognition and
Translation by Partial Hypothesis Selection" (Interspeech 2020).
"""

import re
from typing import Final

_EDGES: Final = re.compile(r"^\W+|\W+$")


class Agreement:
    """The hypotheses of one utterance; `shown` is the text that readers see."""

    def __init__(self) -> None:
        self.shown = ""
        self._newest = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of the newest hypothesis is shown."""
        return self.shown == self._newest

    def take(self, text: str) -> None:
        """Take the next hypothesis.

        Shown words stay until two hypotheses in a row contradict them. Of the first hypothesis, one
        word is shown: that somebody is speaking matters more than what they say.
        """
        words = text.split()
        agreed = _alike(self._newest.split(), words) if self._newest else 1
        shown = self.shown.split()
        stays = _alike(shown, words)
        if agreed > stays or (agreed == stays == len(shown)):
            # The recogniser punctuates each hypothesis like a sentence, but this one goes on.
            self.shown = " ".join(words[:agreed]).rstrip(".,;:!?…")
        self._newest = text

    def show_all(self) -> None:
        """Show all of the newest hypothesis, because the next one is late or won't come."""
        self.shown = self._newest


def _alike(some: list[str], others: list[str]) -> int:
    """Return how many leading words are equal, ignoring case and punctuation."""
    count = 0
    for one, other in zip(some, others, strict=False):
        if _EDGES.sub("", one).casefold() != _EDGES.sub("", other).casefold():
            break
        count += 1
    return count
