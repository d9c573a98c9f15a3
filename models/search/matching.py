"""Searches conversations; any string that a person can type is a valid search."""

import asyncio
import html
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from models import ids
from models.database import Connection
from models.repositories.bulk import hydrated
from models.search.tokens import Token, ends_run, is_unspaced, tokens
from models.tables.utterance import Utterance

MARK: Final = ("<mark>", "</mark>")
"""Surrounds the matching words in a snippet.

The rest of the snippet is HTML-escaped (`&amp;`, `&lt;`, `&gt;`). So it can be shown as HTML
unchanged, as most clients do, and a transcript can't inject anything. The marks can't be confused
with the text, which has no `<` left in it.
"""
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
SNIPPET_WORDS: Final = 24
SNIPPET_BEFORE: Final = 6
"""Words before the first match, where a text is cut."""
SNIPPET_LENGTH: Final = 400
"""Characters of a text that a snippet shows, before escaping: words may be far apart."""
SNIPPET_LEAD: Final = 100
"""Characters before the first match, where a snippet is cut to that length."""
SNIPPET_TEXT: Final = 100_000
"""Characters of text that are searched for the snippets of a page, some 50 ms of CPU. Snippets of
texts beyond that show the beginning."""
PLACES: Final = 1_000
"""Matches in a text, from its beginning, that a snippet may be cut around."""

MATCHING_SESSIONS: Final = """
SELECT u.session_id FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
WHERE utterance_search MATCH ?"""
"""The ids of the sessions in which a word was said; the parameter is one of `Search.each`."""
TITLED_SESSIONS: Final = """
SELECT session_id FROM title_search WHERE user_id = ? AND token >= ? AND token < ?"""
"""The ids of the sessions whose title has a token; the parameters are from `Search.in_titles`."""

# Each session's best utterance: the one with the most and rarest words of the search, then the
# earliest. The last column's weight is 0: its only token, the owner, is in every row.
_BEST: Final = """
SELECT session_id, number FROM (
    SELECT u.session_id, u.number, row_number() OVER (
        PARTITION BY u.session_id
        ORDER BY bm25(utterance_search, 1.0, 0.5, 0.0), u.sort_key
    ) AS place
    FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
    WHERE utterance_search MATCH ? AND u.session_id IN ({marks})
) WHERE place = 1"""
_FOUND: Final = "SELECT * FROM utterances WHERE number IN ({marks})"
_END: Final = "\U0010ffff"
"""Sorts after every character in a token."""


@dataclass(frozen=True, slots=True)
class BestMatch:
    """A session's best match for a search, and the snippet around it."""

    utterance: Utterance
    snippet: str


@dataclass(frozen=True, slots=True)
class Search:
    """Words to find: a session must contain all of them, in its utterances or its title.

    Each word is a sequence of tokens; the last token is a prefix.
    """

    owner_id: str
    words: tuple[tuple[str, ...], ...]
    """If empty, nothing is found: the search was "?!", for example."""

    @property
    def each(self) -> list[str]:
        """One FTS5 query per word; intersect the results by session."""
        return [f"{self._owner} AND {_query(word)}" for word in self.words]

    @property
    def any(self) -> str:
        """The FTS5 query for utterances with at least one of the words."""
        return f"{self._owner} AND ({' OR '.join(map(_query, self.words))})"

    def in_titles(self, word: tuple[str, ...]) -> list[list[object]]:
        """Return the parameters of `TITLED_SESSIONS` for each token of a word."""
        ends = [*(f"{token} " for token in word[:-1]), word[-1] + _END]
        return [[self.owner_id, token, end] for token, end in zip(word, ends, strict=True)]

    @property
    def _owner(self) -> str:
        # The index holds the identifier without its prefix, as one token.
        return f'owner : "{self.owner_id.removeprefix(ids.USER + "_")}"'


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


async def best_matches(
    conn: Connection, search: Search, session_ids: Sequence[str]
) -> dict[str, BestMatch]:
    """Find the best utterance of each of these sessions, by session id, in two queries.

    Sessions that only match by their title have none.
    """
    if not search.words or not session_ids:
        return {}
    rows = await conn.execute_query_dict(
        _BEST.format(marks=_marks(session_ids)), [search.any, *session_ids]
    )
    best = [row["number"] for row in rows]
    found = await conn.execute_query_dict(_FOUND.format(marks=_marks(best)), best)
    utterances = {row["session_id"]: hydrated(Utterance, row) for row in found}
    ordered = [utterances[id_] for id_ in session_ids if id_ in utterances]
    # A long text takes milliseconds, and there may be several; a thread keeps the event loop free.
    return await asyncio.to_thread(_with_snippets, ordered, search.words)


async def marked(texts: Sequence[str], words: Sequence[tuple[str, ...]]) -> list[str]:
    """Return whole texts as HTML, with the words marked."""
    # In a thread, as above.
    return await asyncio.to_thread(lambda: [marked_text(text, words) for text in texts])


def _with_snippets(
    utterances: Iterable[Utterance], words: Sequence[tuple[str, ...]]
) -> dict[str, BestMatch]:
    found, left = {}, SNIPPET_TEXT
    for one in utterances:
        is_whole = len(one.text) <= left
        text = one.text if is_whole else one.text[:SNIPPET_LENGTH]
        left -= len(text)
        snippet = snippet_of(text, words)
        found[one.session_id] = BestMatch(one, snippet if is_whole else snippet.rstrip("…") + "…")
    return found


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
    # The index found the two parts of such a word separately: see `_query`.
    rests = [word[1:] for word in words if _is_one(word[0]) and word[1:]]
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
    tails = tuple(word[0] for word in words if _is_one(word[0]))
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


def _query(word: tuple[str, ...]) -> str:
    # A token has no quotes, and FTS5 knows no operators inside quotes.
    query = _phrase(word)
    if not _is_one(word[0]):
        return f"({query})"
    # The character may end a run, where no token begins with it. The rest of the word is then only
    # required in the same utterance: FTS5 can't match the end of a token next to another token.
    last = f'last : "{word[0]}"'
    return f"({query} OR ({last} AND {_phrase(word[1:])}))" if word[1:] else f"({query} OR {last})"


def _phrase(word: tuple[str, ...]) -> str:
    return f'tokens : "{" ".join(word)}" *'


def _is_one(token: str) -> bool:
    """Whether a token is a single character of a script without spaces."""
    return len(token) == 1 and is_unspaced(token)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
