"""Finds the best match in each of some conversations, and shows it as a snippet."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from models.database import Connection, engine
from models.repositories.bulk import hydrated
from models.search.parsing import Search
from models.search.snippets import SNIPPET_LENGTH, snippet_of
from models.tables.utterance import Utterance

SNIPPET_TEXT: Final = 100_000
"""Characters of text that are searched for the snippets of a page, some 50 ms of CPU. Snippets of
texts beyond that show the beginning."""

_FOUND: Final = "SELECT * FROM utterances WHERE number IN ({marks})"


@dataclass(frozen=True, slots=True)
class BestMatch:
    """A session's best match for a search, and the snippet around it."""

    utterance: Utterance
    snippet: str


async def best_matches(
    conn: Connection, search: Search, session_ids: Sequence[str]
) -> dict[str, BestMatch]:
    """Find the best utterance of each of these sessions, by session id, in two queries.

    Sessions that only match by their title have none.
    """
    if not search.words or not session_ids:
        return {}
    query, values = engine().search.best(search, session_ids)
    rows = await conn.execute_query_dict(query, list(values))
    best = [row["number"] for row in rows]
    if not best:
        return {}
    found = await conn.execute_query_dict(_FOUND.format(marks=", ".join("?" * len(best))), best)
    utterances = {row["session_id"]: hydrated(Utterance, row) for row in found}
    ordered = [utterances[id_] for id_ in session_ids if id_ in utterances]
    # A long text takes milliseconds, and there may be several; a thread keeps the event loop free.
    return await asyncio.to_thread(_with_snippets, ordered, search.words)


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
