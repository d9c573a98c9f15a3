"""Searching what was said: any string that a person can type is a valid search."""

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
"""What surrounds the found words in a snippet.

The rest of the snippet is HTML-escaped (`&amp;`, `&lt;`, `&gt;`), so that it can be shown as HTML
as it comes, which is what most do with it, without letting a transcript inject anything; and the
marks can't be confused with what was said, because what was said has no `<` left in it.
"""
WORDS: Final = 32
"""So many words of a search are looked for; a pasted essay needs no more to be found."""
LOOKED_AT: Final = 10_000
"""Characters of a search in which words are looked for."""
WORD_LENGTH: Final = 100
"""Characters of a word that are looked for: every word is a prefix anyway."""
WORD_TOKENS: Final = 100
"""Tokens of a word that are looked for: a character such as ㌖ has six (SQLite takes 500)."""
TOKENS: Final = 500
"""Tokens of a search that are looked for."""
SNIPPET_WORDS: Final = 24
SNIPPET_BEFORE: Final = 6
"""Words before the first that was found, where a text is cut."""
SNIPPET_LENGTH: Final = 400
"""Characters of a text that a snippet shows, before they are escaped: words may be far apart."""
SNIPPET_LEAD: Final = 100
"""Characters before the first that was found, where a snippet is cut to that length."""
SNIPPET_TEXT: Final = 100_000
"""Characters of texts in which the snippets of a page are looked for, some 50 ms of a processor. Of
texts beyond them, snippets show the beginning."""
PLACES: Final = 1_000
"""Places in a text, from its beginning, around which a snippet may be cut."""

MATCHING_SESSIONS: Final = """
SELECT u.session_id FROM utterance_search JOIN utterances u ON u.number = utterance_search.rowid
WHERE utterance_search MATCH ?"""
"""The ids of the sessions in which one word was said; its parameter is one of `Search.each`."""
TITLED_SESSIONS: Final = """
SELECT session_id FROM title_search WHERE user_id = ? AND token >= ? AND token < ?"""
"""The ids of the sessions whose title has a token; its parameters are of `Search.in_titles`."""

# The best utterance of each session: the one with the most and rarest of the words, then the
# earliest. The weight of the last column is 0: its only token, the owner, is in every row.
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
"""Sorts after every character that a token has."""


@dataclass(frozen=True, slots=True)
class Found:
    """The utterance of a session that answers a search best, and the place in it."""

    utterance: Utterance
    snippet: str


@dataclass(frozen=True, slots=True)
class Search:
    """Words to find: a session must have all of them, in any of its utterances or in its title.

    Each word is a sequence of tokens, of which the last may go on.
    """

    owner_id: str
    words: tuple[tuple[str, ...], ...]
    """Without any, nothing is found: somebody looked for "?!"."""

    @property
    def each(self) -> list[str]:
        """One FTS5 query a word, to be intersected by session."""
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
    """Cut what a person typed into words; None if it is blank, which is no search at all.

    What is beyond the limits above is not looked for. A word may have several tokens ("o'clock",
    "3.5", or a word in a script without spaces): they must then stand side by side. Every word also
    finds longer ones that begin with it.
    """
    # What UTF-8 or SQLite can't hold was never said.
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
    """Yield words of so many tokens in all; the last is cut, and so finds what begins with it."""
    for word in words:
        if limit <= 0:
            return
        yield word[:limit]
        limit -= len(word)


async def best_matches(
    conn: Connection, search: Search, session_ids: Sequence[str]
) -> dict[str, Found]:
    """Find the best utterance of each of these sessions, by session id, in two queries.

    One that is found by its title alone has none.
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
    # A long text takes milliseconds, and there may be several: meanwhile others are served.
    return await asyncio.to_thread(_with_snippets, ordered, search.words)


async def marked(texts: Sequence[str], words: Sequence[tuple[str, ...]]) -> list[str]:
    """Return whole texts as HTML, with each of the words marked."""
    # Beside the event loop, as above.
    return await asyncio.to_thread(lambda: [marked_text(text, words) for text in texts])


def _with_snippets(
    utterances: Iterable[Utterance], words: Sequence[tuple[str, ...]]
) -> dict[str, Found]:
    found, left = {}, SNIPPET_TEXT
    for one in utterances:
        is_whole = len(one.text) <= left
        text = one.text if is_whole else one.text[:SNIPPET_LENGTH]
        left -= len(text)
        snippet = snippet_of(text, words)
        found[one.session_id] = Found(one, snippet if is_whole else snippet.rstrip("…") + "…")
    return found


def snippet_of(text: str, words: Sequence[tuple[str, ...]]) -> str:
    """Return the part of a text where most of the words are, as HTML, with each of them marked.

    It has at most `SNIPPET_WORDS` tokens and `SNIPPET_LENGTH` characters of the text, with an
    ellipsis where something is left out.
    """
    found = tokens(text)
    # Twice as many as are tried, so that all of them are marked around the last that is.
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
    """Return a whole text as HTML, with each of the words marked."""
    return _html(text, 0, len(text), _joined(_places(tokens(text), words)))


def _html(text: str, start: int, stop: int, shown: Iterable[tuple[int, int]]) -> str:
    """Return a part of a text, escaped, with marks around these places in it."""
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
    """Return the first places in a text where the words are, in order."""
    spans = sorted(islice(_spans(found, words), most))
    if spans:
        return spans
    # The index has found the two parts of such a word apart: see `_query`.
    rests = [word[1:] for word in words if _is_one(word[0]) and word[1:]]
    return sorted(islice(_spans(found, rests), most))


def _window(found: Sequence[Token], spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the tokens to show: all, or so many around as much as can be of what was found."""
    if len(found) <= SNIPPET_WORDS:
        return 0, len(found)
    starts = [token.start for token in found]
    # Of the spans with one beginning, the first is the shortest.
    ends = dict(reversed(spans))
    begins = sorted(ends)
    best, most = 0, -1
    for begin in dict.fromkeys(begin for begin, _ in spans[:PLACES]):
        # What ends a run begins no token: it is in the one before.
        first = max(0, bisect_left(starts, begin) - SNIPPET_BEFORE)
        first = min(first, len(found) - SNIPPET_WORDS)
        last = found[first + SNIPPET_WORDS - 1].end
        near = begins[bisect_left(begins, starts[first]) : bisect_left(begins, last)]
        inside = sum(ends[begin] <= last for begin in near)
        if inside > most:
            best, most = first, inside
    return best, best + SNIPPET_WORDS


def _spans(found: Sequence[Token], words: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Yield where in the text the words are."""
    texts = [token.text for token in found]
    # Few tokens begin or end like one of the words; the others cost one look.
    heads = tuple(word[0] for word in words)
    tails = tuple(word[0] for word in words if _is_one(word[0]))
    for index, token in enumerate(found):
        if token.text.startswith(heads):
            for word in words:
                end = _end(found, texts, index, word)
                if end is not None:
                    yield token.start, end
        # The last character of a run begins no token, and a word may begin with it.
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
    """Return where a word ends that begins with this token; None if it does not stand there."""
    *firsts, last = word
    at = index + len(firsts)
    if at >= len(found) or not texts[at].startswith(last) or texts[index:at] != firsts:
        return None
    token = found[at]
    is_half = len(last) == 1 and token.split is not None and token.split > token.start
    return token.split if is_half else token.end


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Make one of those that touch."""
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
    # A token has no quote in it; inside of quotes FTS5 knows no operators.
    query = _phrase(word)
    if not _is_one(word[0]):
        return f"({query})"
    # It may end a run, where no token begins with it. What follows it in the word is then asked for
    # in the same utterance: FTS5 can't ask for the end of a token beside another.
    last = f'last : "{word[0]}"'
    return f"({query} OR ({last} AND {_phrase(word[1:])}))" if word[1:] else f"({query} OR {last})"


def _phrase(word: tuple[str, ...]) -> str:
    return f'tokens : "{" ".join(word)}" *'


def _is_one(token: str) -> bool:
    """Whether a token is a single character of a script without spaces."""
    return len(token) == 1 and is_unspaced(token)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
