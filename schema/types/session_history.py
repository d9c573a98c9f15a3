"""The history of sessions: its filter and its connection."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry

from models import tables
from models.repositories.matches import BestMatch
from resolvers.pages import Slice
from resolvers.sessions import history
from resolvers.sessions.history import HistoryEntry
from schema.scopes import words
from schema.types import pages
from schema.types.enums import SessionStatus
from schema.types.node import CURSOR, EDGES, NODES, PAGE_INFO, PageInfo, given
from schema.types.session import Session
from schema.types.utterance import Utterance


@strawberry.input(description="Half-open: from <= t < before.")
class DateTimeRange:
    from_: datetime | None = strawberry.field(
        name="from", default=strawberry.UNSET, description="From this moment on."
    )
    before: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="Up to this moment, which is left out."
    )


@strawberry.input(description="What to show of the history; everything given must hold.")
class SessionFilter:
    search: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="Words or beginnings of words that were said, or are in the title; accents and "
        "case don't matter.",
    )
    status: list[SessionStatus] | None = strawberry.field(
        default=strawberry.UNSET, description="In one of these; none is no filter."
    )
    agent_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="Held with the agent of this name."
    )
    created_at: DateTimeRange | None = strawberry.field(
        default=strawberry.UNSET, description="Begun in this time."
    )


def filter_from(given_filter: SessionFilter | None) -> history.SessionFilter:
    """Convert a filter to the use case's type."""
    if not given_filter:
        return history.SessionFilter()
    created = given(given_filter.created_at)
    return history.SessionFilter(
        search=given(given_filter.search),
        status=given(given_filter.status),
        agent_name=given(given_filter.agent_name),
        created_from=given(created.from_) if created else None,
        created_before=given(created.before) if created else None,
    )


@strawberry.type(description="Where a search found what it was looking for.")
class SearchMatch:
    utterance: Utterance = words(description="The utterance that fits best.")
    snippet: str = words(
        description="The words around the place, as HTML: what was said is escaped (`&amp;`,"
        " `&lt;`, `&gt;`), with `<mark>…</mark>` around what was found."
    )


@strawberry.type(description="A session in the history; match is set when the filter has a search.")
class SessionEdge:
    cursor: str = strawberry.field(description=CURSOR)
    node: Session = strawberry.field(description="The session.")

    @strawberry.field(
        graphql_type=SearchMatch | None,
        description="Where it was found; null without a search, and where only the title has it.",
    )
    @staticmethod
    async def match(root: strawberry.Parent["MatchingEdge"]) -> BestMatch | None:
        return await root.entry.match()


@strawberry.type(description="A page of the history, newest first.")
class SessionConnection:
    @strawberry.field(graphql_type=list[SessionEdge], description=EDGES)
    @staticmethod
    def edges(root: strawberry.Parent[Slice[HistoryEntry]]) -> list[Any]:
        pairs = zip(root.cursors, root.items, strict=True)
        return [MatchingEdge(cursor, entry.session, entry) for cursor, entry in pairs]

    @strawberry.field(graphql_type=list[Session], description=NODES)
    @staticmethod
    def nodes(root: strawberry.Parent[Slice[HistoryEntry]]) -> list[tables.Session]:
        return [entry.session for entry in root.items]

    page_info: PageInfo = strawberry.field(resolver=pages.page_info, description=PAGE_INFO)
    total_count: int = strawberry.field(resolver=pages.total_count, description=pages.TOTAL_COUNT)


@dataclass(slots=True)
class MatchingEdge:
    """A session in the history, and its cursor."""

    cursor: str
    node: tables.Session
    entry: HistoryEntry
