"""Turns Markdown answers into words for the voice, and the voice's words back into Markdown."""

import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString
from livekit.agents.utils import is_given

from agent.speaking.plain_words import Piece, PlainWords

_AHEAD: Final = 200
"""Characters searched for a word of the voice, which may skip some words."""
_WORD: Final = re.compile(r"\S+")


class Sources:
    """Finds the Markdown of words that arrive in the order in which they were written.

    Whichever words are looked up, the results and then `rest` are all of the Markdown, once and in
    order.
    """

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._plain = ""

    def add(self, pieces: list[Piece]) -> str:
        """Add the next pieces; return their spoken text."""
        self._pieces += pieces
        said = "".join(said for said, _ in pieces)
        self._plain += said
        return said

    def of(self, word: str) -> str:
        """Return the Markdown from the end of the last word to the end of this one.

        It is empty for a word that can't be found; the next word's Markdown then includes it.
        """
        word = word.strip()
        at = self._plain.find(word, 0, _AHEAD + len(word)) if word else -1
        return self._up_to(at + len(word)) if at >= 0 else ""

    def rest(self) -> str:
        """Return the Markdown that was not returned for any word."""
        source = "".join(source for _, source in self._pieces)
        self._pieces.clear()
        self._plain = ""
        return source

    def _up_to(self, length: int) -> str:
        self._plain = self._plain[length:]
        sources = []
        while self._pieces:
            said, source = self._pieces[0]
            # An unspoken piece right after the word is a closing mark: **bold**.
            if not length and said:
                break
            self._pieces.popleft()
            if len(said) > length:
                cut = length if said == source else len(source)
                self._pieces.appendleft((said[length:], source[cut:]))
                source, said = source[:cut], said[:length]
            length -= len(said)
            sources.append(source)
        return "".join(sources)


class Spoken:
    """Gives one answer's plain words to the voice, and its Markdown to the voice's transcript."""

    def __init__(self) -> None:
        self._sources = Sources()
        self._newest: TimedString | None = None

    async def plain(self, text: AsyncIterable[str]) -> AsyncIterator[str]:
        """Yield the text to speak as soon as it is certain."""
        words = PlainWords()
        async for piece in text:
            if said := self._sources.add(words.push(piece)):
                yield said
        if said := self._sources.add(words.end()):
            yield said

    def align(self, frame: rtc.AudioFrame) -> None:
        """Replace the words in a frame's transcript with their Markdown."""
        timed = frame.userdata.get(USERDATA_TIMED_TRANSCRIPT)
        if timed:
            frame.userdata[USERDATA_TIMED_TRANSCRIPT] = [
                self._at_its_time(self._sources.of(word), word) for word in timed
            ]

    def finish(self, frame: rtc.AudioFrame) -> None:
        """Put what is left into the last frame: marks, and words that the voice skipped."""
        if rest := self._sources.rest():
            # At the time of the last word: a person who has heard it has heard everything.
            left = self._at_its_time(rest, self._newest) if self._newest else TimedString(rest)
            frame.userdata[USERDATA_TIMED_TRANSCRIPT] = [left]

    def _at_its_time(self, source: str, word: TimedString) -> TimedString:
        if is_given(word.start_time):
            self._newest = word
        return TimedString(source, start_time=word.start_time, end_time=word.end_time)


def words_of(markdown: str) -> list[tuple[str, int]]:
    """Split Markdown into spoken words, each with its marks and its spoken length."""
    sources, words = Sources(), PlainWords()
    plain = sources.add(words.push(markdown)) + sources.add(words.end())
    found = [(sources.of(word), len(word)) for word in _WORD.findall(plain)]
    if rest := sources.rest():
        last, length = found.pop() if found else ("", 1)
        found.append((last + rest, length))
    return found
