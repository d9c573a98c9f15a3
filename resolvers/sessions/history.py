"""Lists the viewer's conversations, and the utterances of one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from hub.events import SessionState, UtteranceState
from models.database import reader
from models.repositories.history import HistoryQuery
from models.repositories.matches import SNIPPET_TEXT, BestMatch, best_matches
from models.repositories.transcript import (
    SESSIONS_AT_ONCE,
    TranscriptQuery,
    counts_of_many,
    pages_of_many,
)
from models.search import parsing, snippets
from models.tables import Session, SessionStatus, Utterance
from resolvers import limits
from resolvers.access import own, require
from resolvers.pages import Cursors, Once, Page, Slice, sliced
from resolvers.viewer import TokenScope, Viewer

SESSIONS_PAGE: Final = 100
SESSIONS_DEFAULT: Final = 20
UTTERANCES_PAGE: Final = 500
PAGE_TEXT: Final = 2 * 1024 * 1024
"""Characters of text in a page; with longer texts, the page is shorter than requested."""
MARKED_TEXT: Final = SNIPPET_TEXT
"""The same for a page of search results, whose texts are searched again for words to mark."""


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """A filter on conversations; None means any."""

    search: str | None = None
    """Blank means no search. A text without any token, such as "?!", finds nothing."""
    status: Sequence[SessionStatus] | None = None
    """Any of these; an empty list, as from a form with nothing ticked, means any."""
    agent_name: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    """Half-open: from <= t < before."""


@dataclass(frozen=True, slots=True)
class MatchingUtterances(Slice[Utterance]):
    """A page of one conversation's utterances that match a search."""

    marked: Callable[[], Awaitable[list[str]]]
    """Returns their texts as HTML with the matches marked, in the order of `items`."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A conversation, and its match of a search."""

    session: Session
    _matches: Once[dict[str, BestMatch]] | None
    """The matches of all sessions on the page, by session."""

    async def match(self) -> BestMatch | None:
        """Return the utterance that matches best; None if only the title matches."""
        return (await self._matches.value()).get(self.session.id) if self._matches else None


async def session_history(
    viewer: Viewer | None,
    page: Page,
    filter: SessionFilter | None = None,
) -> Slice[HistoryEntry]:
    """Return a page of the viewer's conversations that have utterances, newest first."""
    viewer = require(viewer, TokenScope.SESSIONS_READ)
    wanted = filter or SessionFilter()
    query = HistoryQuery(
        user_id=viewer.user_id,
        search=parsing.parse(wanted.search or "", viewer.user_id),
        statuses=sorted(set(wanted.status or ())) or None,
        agent_name=_agent_name(wanted.agent_name),
        created_from=wanted.created_from,
        created_before=wanted.created_before,
    )
    cursors = Cursors("history", query)
    size = page.size(SESSIONS_PAGE, SESSIONS_DEFAULT)
    after = cursors.moment(page.after, "after")
    before = cursors.moment(page.before, "before")
    sessions = await query.page(reader(), after, before, size + 1, backward=page.is_backward)
    found = sliced(
        sessions,
        size,
        page,
        lambda session: cursors.encode((session.created_at, session.id)),
        lambda: query.count(reader()),
    )
    matches = None
    if query.search is not None:
        shown = [session.id for session in found.items]
        matches = Once(partial(best_matches, reader(), query.search, shown))
    entries = [HistoryEntry(session, matches) for session in found.items]
    return Slice(entries, found.cursors, found.has_next, found.has_previous, found.count)


def _agent_name(name: str | None) -> str | None:
    return None if name is None else limits.check_agent_name(name, ("filter", "agentName"))


async def session_utterances(
    viewer: Viewer | None,
    session: Session | SessionState,
    page: Page,
    is_final: bool | None = None,
    words: str | None = None,
) -> Slice[Utterance]:
    """Return a page of one conversation's utterances, in order; from the end with `last`.

    With `words`, only utterances that match at least one of them; blank means no search. The
    cursors are the same with and without `words`, so that the lines around a match can be read.
    """
    viewer = require(viewer, TokenScope.SESSIONS_READ)
    own(viewer, session)
    size = page.size(UTTERANCES_PAGE, UTTERANCES_PAGE)
    cursors = _utterance_cursors(session.id, is_final)
    wanted = parsing.parse(words or "", viewer.user_id)
    query = TranscriptQuery(session.id, is_final, wanted)
    after = cursors.sort_key(page.after, "after")
    before = cursors.sort_key(page.before, "before")
    rows = await query.page(reader(), after, before, size + 1, backward=page.is_backward)
    text = PAGE_TEXT if wanted is None else MARKED_TEXT
    size = _fitting(rows, size, text, backward=page.is_backward)
    found = sliced(rows, size, page, partial(_cursor, cursors), lambda: query.count(reader()))
    if wanted is None:
        return found
    texts = [utterance.text for utterance in found.items]
    return MatchingUtterances(
        found.items,
        found.cursors,
        found.has_next,
        found.has_previous,
        found.count,
        partial(snippets.marked, texts, wanted.words),
    )


def utterance_cursor(utterance: Utterance | UtteranceState) -> str:
    """Return an utterance's cursor in its session's unfiltered `utterances`."""
    return _cursor(_utterance_cursors(utterance.session_id, None), utterance)


async def session_utterances_of_many(
    viewer: Viewer | None,
    sessions: Sequence[Session | SessionState],
    page: Page,
    is_final: bool | None = None,
) -> list[Slice[Utterance]]:
    """Return the first (or last) page of each of these sessions, in their order.

    For a list of sessions that shows some utterances of each: it costs two queries per hundred
    sessions, and counting one page counts them all. A page with a cursor belongs to one session;
    use `session_utterances` for it.
    """
    viewer = require(viewer, TokenScope.SESSIONS_READ)
    if page.after is not None or page.before is not None:
        raise ValueError("A cursor belongs to one session.")
    size = page.size(UTTERANCES_PAGE, UTTERANCES_PAGE)
    owned = [own(viewer, session).id for session in sessions]
    distinct = list(dict.fromkeys(owned))
    found: dict[str, list[Utterance]] = {}
    for start in range(0, len(distinct), SESSIONS_AT_ONCE):
        some = distinct[start : start + SESSIONS_AT_ONCE]
        found |= await pages_of_many(
            reader(), some, size + 1, is_final=is_final, backward=page.is_backward
        )
    counts = Once(partial(counts_of_many, reader(), distinct, is_final))
    return [
        sliced(
            found[id_],
            _fitting(found[id_], size, PAGE_TEXT, backward=page.is_backward),
            page,
            partial(_cursor, _utterance_cursors(id_, is_final)),
            partial(_count_of, counts, id_),
        )
        for id_ in owned
    ]


async def _count_of(counts: Once[dict[str, int]], session_id: str) -> int:
    return (await counts.value())[session_id]


def _utterance_cursors(session_id: str, is_final: bool | None) -> Cursors:
    return Cursors("utterances", session_id, is_final)


def _fitting(rows: Sequence[Utterance], size: int, text: int, *, backward: bool) -> int:
    """Return how many of these rows fit into a page with this much text; at least one."""
    length = 0
    for count, row in enumerate(reversed(rows) if backward else rows):
        length += len(row.text)
        if length > text and count > 0:
            return min(size, count)
    return size


def _cursor(cursors: Cursors, utterance: Utterance | UtteranceState) -> str:
    return cursors.encode((utterance.sort_key, utterance.id))
