"""The tokens of a text: what it is found by, in any script.

Made here, once, for indexing and for asking: the database only stores and compares them, so another
one gives the same answers. Texts are compared as people do: compatible forms are the same (NFKC),
case does not matter, and accents and vowel points do not where people leave them out.

https://www.unicode.org/reports/tr15/ (normal forms), https://www.unicode.org/reports/tr29/ (words)
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
_CHUNK: Final = re.compile(r"\S+")
_SHORT: Final = 32
# What is normalised together: a character with the marks after it, Korean letters, and half-width
# kana with their voicing mark.
_CLUSTER: Final = re.compile(
    "[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]+"
    "|.[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u093c\u3099\u309a\uff9e\uff9f\ufe00-\ufe0f\ufe20-\ufe2f\u200d\U0001f3fb-\U0001f3ff]*",
    re.DOTALL,
)
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer, Han and kana: words of which no space tells the end."""
_PERHAPS_UNSPACED: Final = re.compile("[\u0e00-\U0003ffff]")
_POINTED: Final = re.compile("[\u0370-\u03ff\u0590-\u06ff\u0750-\u077f\u1f00-\u1fff]")
"""Greek, Hebrew and Arabic, beside Latin: accents and vowel points are left out."""
_LETTERS: Final = str.maketrans(
    {
        # Letters that no normal form takes apart.
        "\u0142": "l",  # ł
        "\u00f8": "o",  # ø
        "\u0111": "d",  # đ
        "\u0127": "h",  # ħ
        "\u00f0": "d",  # ð
        "\u0131": "i",  # without its dot
        "\u00e6": "ae",  # æ
        "\u0153": "oe",  # œ
        "\u0451": "\u0435",  # Cyrillic yo is often written as ye
        "\u0649": "\u064a",  # Arabic alef maksura and yeh,
        "\u06cc": "\u064a",  # Persian yeh,
        "\u06a9": "\u0643",  # Persian kaf,
        "\u0629": "\u0647",  # teh marbuta,
        "\u0640": None,  # and the stroke that only makes a word longer
    }
)
_STRESS: Final = str.maketrans(dict.fromkeys("\u0300\u0301"))
"""Marks of stress over Cyrillic letters, which dictionaries print."""
_MODIFIERS: Final = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")
"""What joins and colours emoji."""
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]")


class Token(NamedTuple):
    """A token, and where it stands in the original text."""

    text: str
    start: int
    end: int
    split: int | None = None
    """Of two characters of a script without spaces: where the second begins."""


class _Piece(NamedTuple):
    """A character of the folded text."""

    char: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text in their order.

    A word is one token, and so is an emoji. Of words in a script without spaces, any two characters
    in a row are one, so that whatever is looked for there is found; a single one stands alone.
    """
    if text.isascii():
        return [Token(m[0], m.start(), m.end()) for m in _ASCII_WORD.finditer(text.lower())]
    found: list[Token] = []
    for chunk in _CHUNK.finditer(text):
        at = chunk.start()
        known = _of_short(chunk[0]) if chunk.end() - at <= _SHORT else _of_chunk(chunk[0])
        found += [
            Token(t.text, at + t.start, at + t.end, None if t.split is None else at + t.split)
            for t in known
        ]
    return found


def _of_chunk(text: str) -> list[Token]:
    found: list[Token] = []
    for kind, run in _runs(text):
        if kind == "unspaced":
            found.extend(_pairs(run))
        elif kind == "word":
            found.append(Token("".join(p.char for p in run), run[0].start, run[-1].end))
        else:
            found.extend(Token(p.char, p.start, p.end) for p in run)
    return found


# Most words are said again and again.
_of_short = lru_cache(maxsize=16_384)(_of_chunk)


def indexed(text: str) -> str:
    """Return the tokens as they are indexed, with a space between them."""
    return " ".join(token.text for token in tokens(text))


def last_of_runs(text: str) -> str:
    """Return the characters that end a run of a script without spaces, with a space between them.

    Of a run of two or more no token begins with its last character: who asks for that alone finds
    it here.
    """
    if not _PERHAPS_UNSPACED.search(text):
        return ""
    runs = (run for kind, run in _runs(text) if kind == "unspaced" and len(run) > 1)
    return " ".join(dict.fromkeys(run[-1].char for run in runs))


def is_unspaced(character: str) -> bool:
    """Whether a folded character is of a script without spaces."""
    return _UNSPACED.match(character) is not None


def _pairs(run: list[_Piece]) -> Iterator[Token]:
    if len(run) == 1:
        yield Token(run[0].char, run[0].start, run[0].end)
    for one, two in pairwise(run):
        yield Token(one.char + two.char, one.start, two.end, two.start)


def _runs(text: str) -> Iterator[tuple[str, list[_Piece]]]:
    """Yield stretches of one kind: words, scripts without spaces, emoji."""
    kind, run = "", list[_Piece]()
    for piece in _pieces(text):
        this = _kind(piece.char)
        if this == "mark":
            this = kind if kind in ("word", "unspaced") else "word"
        if this != kind and run:
            yield kind, run
            run = []
        kind = this
        if this:
            run.append(piece)
    if run:
        yield kind, run


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    category = unicodedata.category(character[0])
    if category[0] == "M":
        return "mark"
    if is_unspaced(character):
        return "unspaced"
    if category[0] in "LN":
        return "word"
    return "emoji" if category == "So" else ""


def _pieces(text: str) -> Iterator[_Piece]:
    """Yield the folded characters, each with its place in the original."""
    flag: _Piece | None = None
    for match in _CLUSTER.finditer(text):
        start, end = match.span()
        if _FLAG.match(match[0]):
            # Two of them are the flag of a country.
            if flag is not None:
                yield _Piece(flag.char + match[0], flag.start, end)
            flag = None if flag is not None else _Piece(match[0], start, end)
            continue
        flag = None
        for character in _folded(match[0]):
            yield _Piece(character, start, end)


@lru_cache(maxsize=4096)
def _folded(cluster: str) -> str:
    """Return a character with its marks as it is compared."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    apart = unicodedata.normalize("NFKD", folded)
    base = apart[:1]
    if _is_latin(base) or _POINTED.match(base):
        folded = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    elif "\u0400" <= base <= "\u04ff":
        # Not the marks that make letters of their own: й, ї, ў.
        folded = unicodedata.normalize("NFC", apart.translate(_STRESS))
    return _MODIFIERS.sub("", folded.translate(_LETTERS))


def _is_latin(character: str) -> bool:
    return (
        "a" <= character <= "z"
        or "\u0080" <= character <= "\u024f"
        or ("\u1e00" <= character <= "\u1eff")
    )
