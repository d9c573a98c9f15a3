"""Splits a text in any script into the tokens it is found by.

Indexing and searching share this code; the database only stores and compares tokens, so another one
gives the same results. Texts are compared as people do: compatible forms are the same (NFKC), case
does not matter, nor do accents and vowel points where people leave them out.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise, zip_longest
from typing import Final, NamedTuple

_ASCII_WORD: Final = re.compile("[a-z0-9]+")
# No token spans a space, or a Chinese or Japanese punctuation mark, as spaces are rare there.
_CHUNK: Final = re.compile(r"[^\s\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]+")
_SHORT: Final = 32
_FEW: Final = 4
_CACHED: Final = 16_384
# What is normalised together: a Korean syllable in letters, or a character with its marks, such as
# half-width kana with a voicing mark. Marks beyond 30 are dropped: Python sorts marks in quadratic
# time. A Korean syllable has three letters; a longer row is cut where nothing is composed.
_MARKS: Final = (
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u093c\u3099\u309a\uff9e\uff9f\ufe00-\ufe0f\ufe20-\ufe2f\u200d\U0001f3fb-\U0001f3ff]"
)
_CLUSTER: Final = re.compile(
    "(?=[\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb])[\u1100-\u115f\ua960-\ua97c]{0,10}"
    "[\u1160-\u11a7\ud7b0-\ud7ca]{0,10}[\u11a8-\u11ff\ud7cb-\ud7fb]{0,10}"
    f"|(.{_MARKS}{{0,30}}){_MARKS}*",
    re.DOTALL,
)
_PLAIN: Final = re.compile("[\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff]+")
"""Most Han and kana: folding does not change them unless a mark follows."""
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Myanmar, Khmer, Han and kana: scripts without spaces between words."""
_POINTED: Final = re.compile("[\u0370-\u03ff\u0590-\u06ff\u0750-\u077f\u1f00-\u1fff]")
"""Greek, Hebrew and Arabic: accents and vowel points are left out, as in Latin."""
_LETTERS: Final = str.maketrans(
    {
        # Letters that no normal form decomposes.
        "\u0142": "l",  # ł
        "\u00f8": "o",  # ø
        "\u0111": "d",  # đ
        "\u0127": "h",  # ħ
        "\u00f0": "d",  # ð
        "\u0131": "i",  # dotless i
        "\u00e6": "ae",  # æ
        "\u0153": "oe",  # œ
        "\u0451": "\u0435",  # Cyrillic yo is often written as ye
        "\u0649": "\u064a",  # Arabic alef maksura and yeh,
        "\u06cc": "\u064a",  # Persian yeh,
        "\u06a9": "\u0643",  # Persian kaf,
        "\u0629": "\u0647",  # teh marbuta,
        "\u0640": None,  # and the stroke that only lengthens a word
    }
)
_STRESS: Final = str.maketrans(dict.fromkeys("\u0300\u0301"))
"""Stress marks over Cyrillic letters, as dictionaries print them."""
_MODIFIERS: Final = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")
"""Joiners, variation selectors and skin tones of emoji."""
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]")


class Token(NamedTuple):
    """A token, and its place in the original text."""

    text: str
    start: int
    end: int
    split: int | None = None
    """For two characters of a script without spaces: where the second begins. Equal to `start` if
    one character of the text was folded into both."""


class _Piece(NamedTuple):
    """A character of the folded text."""

    char: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, in order.

    A word is one token, and so is an emoji. In scripts without spaces, any two adjacent characters
    are a token, so that any part of the text can be found; a single character is a token of its
    own.
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
    if len(text) > 1 and _PLAIN.fullmatch(text):
        return [Token(text[at : at + 2], at, at + 2, at + 1) for at in range(len(text) - 1)]
    found: list[Token] = []
    for kind, run in _runs(text):
        if kind == "unspaced":
            found.extend(_pairs(run))
        elif kind == "word":
            found.append(Token("".join(p.char for p in run), run[0].start, run[-1].end))
        else:
            found.extend(Token(p.char, p.start, p.end) for p in run)
    return found


_known: dict[str, list[Token]] = {}


def _of_short(chunk: str) -> list[Token]:
    """Return the tokens of a short chunk, from a cache if there are few.

    Most words recur, and have few tokens. A row of Chinese or of emoji has many tokens and hardly
    ever recurs. So at most 16,384 chunks of up to 4 tokens are cached, in some 10 MB.
    """
    found = _known.get(chunk)
    if found is None:
        found = _of_chunk(chunk)
        if len(found) <= _FEW:
            if len(_known) >= _CACHED:
                _known.clear()
            _known[chunk] = found
    return found


def indexed(text: str) -> str:
    """Return the tokens as they are indexed, separated by spaces."""
    return _columns(text)[0]


def last_of_runs(text: str) -> str:
    """Return the last characters of runs in scripts without spaces, separated by spaces.

    In a run of two or more characters, no token begins with the last one; a search for it alone
    finds it here.
    """
    return _columns(text)[1]


# The triggers ask for one column of a text, then for the other.
@lru_cache(maxsize=1)
def _columns(text: str) -> tuple[str, str]:
    """Return a text's tokens and the last characters of its runs, as they are indexed."""
    found = tokens(text)
    lasts = {token.text[-1]: None for token, then in _beside(found) if ends_run(token, then)}
    return " ".join(token.text for token in found), " ".join(lasts)


def _beside(found: list[Token]) -> Iterator[tuple[Token, Token | None]]:
    """Yield each token with the next one."""
    return zip_longest(found, found[1:])


def ends_run(token: Token, then: Token | None) -> bool:
    """Whether a token ends a run of two or more characters in a script without spaces.

    `then` is the next token of the text; in the same run, it begins where this one is split.
    """
    is_pair = token.split is not None
    return is_pair and (then is None or then.split is None or then.start != token.split)


def is_single(token: str) -> bool:
    """Whether a token is a single character of a script without spaces."""
    return len(token) == 1 and is_unspaced(token)


def is_unspaced(character: str) -> bool:
    """Whether a folded character belongs to a script without spaces."""
    return _UNSPACED.match(character) is not None


def _pairs(run: list[_Piece]) -> Iterator[Token]:
    if len(run) == 1:
        yield Token(run[0].char, run[0].start, run[0].end)
    for one, two in pairwise(run):
        yield Token(one.char + two.char, one.start, two.end, two.start)


def _runs(text: str) -> Iterator[tuple[str, list[_Piece]]]:
    """Yield runs of one kind: words, scripts without spaces, emoji."""
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
        cluster = match[1] or match[0]
        if _FLAG.match(cluster):
            # Two of them form a country's flag.
            if flag is not None:
                yield _Piece(flag.char + cluster, flag.start, end)
            flag = None if flag is not None else _Piece(cluster, start, end)
            continue
        flag = None
        for character in _folded(cluster):
            yield _Piece(character, start, end)


@lru_cache(maxsize=4096)
def _folded(cluster: str) -> str:
    """Fold a character and its marks for comparison."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cluster).casefold())
    apart = unicodedata.normalize("NFKD", folded)
    base = apart[:1]
    if _is_latin(base) or _POINTED.match(base):
        folded = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    elif "\u0400" <= base <= "\u04ff":
        # Keep the marks that make letters of their own: й, ї, ў.
        folded = unicodedata.normalize("NFC", apart.translate(_STRESS))
    return _MODIFIERS.sub("", folded.translate(_LETTERS))


def _is_latin(character: str) -> bool:
    return (
        "a" <= character <= "z"
        or "\u0080" <= character <= "\u024f"
        or ("\u1e00" <= character <= "\u1eff")
    )
