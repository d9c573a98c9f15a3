"""Shows a text, or its best part, with the words of a search marked."""

import asyncio
import html
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from models.search.tokens import Token, ends_run, is_single, tokens

MARK: Final = ("<mark>", "</mark>")
"""Surrounds the matching words in a snippet.

The rest of the snippet is HTML-escaped (`&amp;`, `&lt;`, `&gt;`). So it can be shown as HTML
unchanged, as most clients do, and a transcript can't inject anything. The marks can't be confused
with the text, which has no `<` left in it.
"""
SNIPPET_WORDS: Final = 24
SNIPPET_BEFORE: Final = 6
"""Words before the first match, where a text is cut."""
SNIPPET_LENGTH: Final = 400
"""Characters of a text that a snippet shows, before escaping: words may be far apart."""
SNIPPET_LEAD: Final = 100
"""Characters before the first match, where a snippet is cut to that length."""
PLACES: Final = 1_000
"""Matches in a text, from its beginning, that a snippet may be cut around."""


async def marked(texts: Sequence[str], words: Sequence[tuple[str, ...]]) -> list[str]:
    """Return whole texts as HTML, with the words marked."""
    # A long text takes milliseconds; a thread keeps the event loop free.
    return await asyncio.to_thread(lambda: [marked_text(text, words) for text in texts])


def snippet_of(text: str, words: Sequence[tuple[str, ...]]) -> str:
    """Return the part of a text with the most matches, as HTML with the words marked.

    It has at most `SNIPPET_WORDS` tokens and `SNIPPET_LENGTH` characters of the text, with an
    ellipsis where something is left out.
    """
    found = tokens(text)
    # Twice as many as are tried, so that all matches around the last one are marked.
    spans = _places(found, words, 2 * PLACES)
    begin, end = _window(found, spans)
    start = 0 if begin == 0 else found[begin].start
    stop = len(text) if end >= len(found) else found[end - 1].end
    if stop - start > SNIPPET_LENGTH:
        first = next((a for a, b in spans if a < stop and b > start), start)
        start = max(start, min(first - SNIPPET_LEAD, stop - SNIPPET_LENGTH))
        stop = min(stop, start + SNIPPET_LENGTH)
    shown = [(max(a, start), min(b, stop)) for a, b in _joined(spans) if a < stop and b > start]
    snippet = _html(text, start, stop, shown)
    return f"{'' if start == 0 else '…'}{snippet}{'' if stop == len(text) else '…'}"


def marked_text(text: str, words: Sequence[tuple[str, ...]]) -> str:
    """Return a whole text as HTML, with the words marked."""
    return _html(text, 0, len(text), _joined(_places(tokens(text), words)))


def _html(text: str, start: int, stop: int, shown: Iterable[tuple[int, int]]) -> str:
    """Return a part of a text, escaped, with these places marked."""
    parts, at = list[str](), start
    for a, b in shown:
        parts += [html.escape(text[at:a], quote=False), MARK[0]]
        parts += [html.escape(text[a:b], quote=False), MARK[1]]
        at = b
    parts.append(html.escape(text[at:stop], quote=False))
    return "".join(parts)


def _places(
    found: Sequence[Token], words: Sequence[tuple[str, ...]], most: int | None = None
) -> list[tuple[int, int]]:
    """Return the first matches in a text, in order."""
    spans = sorted(islice(_spans(found, words), most))
    if spans:
        return spans
    # The index found the two parts of such a word separately: see `models.sqlite.search`.
    rests = [word[1:] for word in words if is_single(word[0]) and word[1:]]
    return sorted(islice(_spans(found, rests), most))


def _window(found: Sequence[Token], spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the range of tokens to show: all, or those with the most matches."""
    if len(found) <= SNIPPET_WORDS:
        return 0, len(found)
    starts = [token.start for token in found]
    # Of spans with the same beginning, the first is the shortest.
    ends = dict(reversed(spans))
    begins = sorted(ends)
    best, most = 0, -1
    for begin in dict.fromkeys(begin for begin, _ in spans[:PLACES]):
        # The last character of a run begins no token; it is in the token before.
        first = max(0, bisect_left(starts, begin) - SNIPPET_BEFORE)
        first = min(first, len(found) - SNIPPET_WORDS)
        last = found[first + SNIPPET_WORDS - 1].end
        near = begins[bisect_left(begins, starts[first]) : bisect_left(begins, last)]
        inside = sum(ends[begin] <= last for begin in near)
        if inside > most:
            best, most = first, inside
    return best, best + SNIPPET_WORDS


def _spans(found: Sequence[Token], words: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Yield the matches in the text, by their start and end."""
    texts = [token.text for token in found]
    # Few tokens begin or end like a word; the others cost one check.
    heads = tuple(word[0] for word in words)
    tails = tuple(word[0] for word in words if is_single(word[0]))
    for index, token in enumerate(found):
        if token.text.startswith(heads):
            for word in words:
                end = _end(found, texts, index, word)
                if end is not None:
                    yield token.start, end
        # The last character of a run begins no token, but a word may begin with it.
        if token.split is None or not token.text.endswith(tails):
            continue
        if not ends_run(token, found[index + 1] if index + 1 < len(found) else None):
            continue
        for word in words:
            if word[0] == token.text[-1]:
                end = _end(found, texts, index + 1, word[1:]) if word[1:] else token.end
                if end is not None:
                    yield token.split, end


def _end(
    found: Sequence[Token], texts: Sequence[str], index: int, word: Sequence[str]
) -> int | None:
    """Return where a word that begins at this token ends; None if it does not match there."""
    *firsts, last = word
    at = index + len(firsts)
    if at >= len(found) or not texts[at].startswith(last) or texts[index:at] != firsts:
        return None
    token = found[at]
    is_half = len(last) == 1 and token.split is not None and token.split > token.start
    return token.split if is_half else token.end


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Merge spans that touch."""
    begin, end = -1, -1
    for a, b in spans:
        if a > end:
            if end >= 0:
                yield begin, end
            begin, end = a, b
        end = max(end, b)
    if end >= 0:
        yield begin, end
