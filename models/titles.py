"""Titles of unnamed conversations, made from the person's first words."""

import re
import unicodedata
from typing import Final

NEW_CONVERSATION: Final = "New Conversation"
"""The title of a conversation that nobody has named."""
TITLE_LENGTH: Final = 60
"""Maximum characters of a generated title, including the ellipsis."""
SHORTEST: Final = 40
"""A long title is cut between two words if at least this many characters remain."""
LOOKED_AT: Final = 1_000
"""Characters of an utterance that may go into its title."""

_STOPS: Final = ".,:;\u3001\u3002\uff0c\uff0e\u060c\u0964 "
"""Characters removed from a title's end; question and exclamation marks stay."""
# Marks that change the text direction; cut off midway, they would affect the rest of the page.
_TURNS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINER: Final = "\u200d"
_COLOURS: Final = ("\U0001f3fb", "\U0001f3ff")


def title_of(text: str) -> str | None:
    """Return the beginning of a text as a title on one line; None if it has no word."""
    line = _TURNS.sub("", " ".join(_shown(text.lstrip()[:LOOKED_AT]).split()))
    first = next((at for at, character in enumerate(line) if character.isalnum()), None)
    if first is None:
        return None
    # A letter's title case is not always its capital: "ß" becomes "Ss", Georgian letters stay.
    line = line[:first] + line[first].title() + line[first + 1 :]
    if len(line) <= TITLE_LENGTH:
        return line.rstrip(_STOPS) or line
    return line[: _end(line)].rstrip(_STOPS) + "…"


def _shown(text: str) -> str:
    """Replace control characters and halves of surrogate pairs with spaces."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _end(line: str) -> int:
    """Return where to cut a long line: after a word, else after a whole character."""
    end = TITLE_LENGTH - 1
    behind_word = line.rfind(" ", SHORTEST, end + 1)
    if behind_word >= 0:
        return behind_word
    # A character may have several code points: letters with marks, and joined emoji.
    while end > SHORTEST and (_goes_on(line[end]) or line[end - 1] == _JOINER):
        end -= 1
    return end


def _goes_on(character: str) -> bool:
    is_colour = _COLOURS[0] <= character <= _COLOURS[1]
    return is_colour or character == _JOINER or unicodedata.category(character)[0] == "M"
