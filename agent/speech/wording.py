"""Tells from a recogniser's text whether somebody spoke, and whether they will go on."""

from typing import Final

_UNFINISHED: Final = frozenset(
    (
        *("a", "an", "the", "my", "our", "their", "your"),
        *("and", "as", "because", "but", "if", "or", "so", "than", "that", "then", "while"),
        *("at", "for", "from", "in", "into", "of", "on", "to", "with"),
        *("when", "where", "which", "who", "uh", "um"),
    )
)


def has_words(text: str) -> bool:
    """Whether a recogniser's text contains anything that somebody could have said."""
    return any(character.isalnum() for character in text)


def asks_for_more(text: str) -> bool:
    """Whether a text reads like an unfinished sentence."""
    text = text.rstrip()
    if text.endswith(("?", "!")):
        return False
    if text.endswith((",", ";", ":", "-", "\N{EM DASH}", "...", "\N{HORIZONTAL ELLIPSIS}")):
        return True
    words = text.rstrip(".").split()
    return bool(words) and words[-1].lower() in _UNFINISHED
