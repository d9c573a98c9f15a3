"""Splits a search into words; any string that a person can type is a valid search."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from models.search.tokens import tokens

WORDS: Final = 32
"""Words of a search that are used; enough to find a pasted essay."""
LOOKED_AT: Final = 10_000
"""Characters of a search that are scanned for words."""
WORD_LENGTH: Final = 100
"""Characters of a word that are used; every word is a prefix anyway."""
WORD_TOKENS: Final = 100
"""Tokens of a word that are used: a character such as ㌖ has six (SQLite takes 500)."""
TOKENS: Final = 500
"""Tokens of a search that are used."""


@dataclass(frozen=True, slots=True)
class Search:
    """Words to find: a session must contain all of them, in its utterances or its title.

    Each word is a sequence of tokens; the last token is a prefix.
    """

    owner_id: str
    words: tuple[tuple[str, ...], ...]
    """If empty, nothing is found: the search was "?!", for example."""


def parse(text: str, owner_id: str) -> Search | None:
    """Split a search into words; return None if it is blank, which means no search.

    Anything beyond the limits above is ignored. A word may have several tokens ("o'clock", "3.5",
    or a word in a script without spaces): they must then be adjacent. Every word also finds longer
    words that begin with it.
    """
    # No stored text has characters that UTF-8 or SQLite can't hold.
    seen = text[:LOOKED_AT]
    text = "".join(" " if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in seen)
    if not text.strip():
        return None
    words = (
        tuple(t.text for t in tokens(word[:WORD_LENGTH])[:WORD_TOKENS]) for word in text.split()
    )
    distinct = dict.fromkeys(word for word in words if word)
    return Search(owner_id, tuple(_within(TOKENS, islice(distinct, WORDS))))


def _within(limit: int, words: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Yield words up to this many tokens in all; the last may be cut, and is then a prefix."""
    for word in words:
        if limit <= 0:
            return
        yield word[:limit]
        limit -= len(word)
