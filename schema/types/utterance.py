"""The Utterance type: what was said or typed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import strawberry

from hub.events import UtteranceState
from models import tables
from resolvers.pages import Slice
from resolvers.sessions import history
from schema.context import Info
from schema.scopes import words
from schema.types import pages
from schema.types.enums import Role, UtteranceSource
from schema.types.node import CURSOR, EDGES, NODES, PAGE_INFO, Node, PageInfo

_SOURCES = (UtteranceState, tables.Utterance)


@strawberry.type(
    description="One stretch of speech or one typed line. Interim while `isFinal` is false: its "
    "text may still change, and every change raises `revision`."
)
class Utterance(Node):
    key: str = strawberry.field(
        description="Unique in its session: the agent's segment, or the client's own key."
    )
    revision: int = strawberry.field(
        description="The server's own count. Take an utterance only if this is higher than what "
        "you hold."
    )
    role: Role = strawberry.field(description="Who said it: the person or the agent.")
    speaker: str | None = words(
        description="Participant or diarised speaker, where the agent knows it."
    )
    source: UtteranceSource = strawberry.field(
        description="Whether it was spoken, typed, or reported by a client."
    )
    text: str = words(description="The words, as far as they are known.")
    is_final: bool = strawberry.field(description="Whether its words are settled. Never goes back.")
    is_interrupted: bool = strawberry.field(
        description="Whether the person cut the agent short; `text` ends where its voice did."
    )
    sort_key: str = strawberry.field(
        description="Order inside the session, where it is unique: compare as text, by code units "
        "(`<` in most languages). Never changes. Usually 10 characters; it grows where many are "
        "inserted at one place."
    )
    position: float = strawberry.field(
        description="The same order as a number. After some 50 insertions at one place a float "
        "can't tell neighbours apart: then only `sortKey` does."
    )
    language: str | None = strawberry.field(description="BCP 47, where the agent knows it.")
    confidence: float | None = strawberry.field(
        description="From 0 to 1, where the recogniser tells."
    )
    started_at: datetime = strawberry.field(
        description="When it began, by the clock of its source."
    )
    ended_at: datetime | None = strawberry.field(description="When it was over; null until then.")

    @strawberry.field(
        description="Its place in its session's `utterances` (without `isFinal`): pass it there as "
        "`after` or `before` to read what was said around it."
    )
    @staticmethod
    def cursor(root: strawberry.Parent[tables.Utterance | UtteranceState]) -> str:
        return history.utterance_cursor(root)

    # Lazy, because the two types refer to each other.
    @strawberry.field(
        graphql_type=Annotated["Session", strawberry.lazy("schema.types.session")],  # noqa: F821
        description="The conversation that it is part of.",
    )
    @staticmethod
    async def session(
        info: Info, root: strawberry.Parent[tables.Utterance | UtteranceState]
    ) -> tables.Session:
        return await info.context.loaders.session.load(root.session_id)

    @classmethod
    def is_type_of(cls, obj: object, info: Any) -> bool:
        return isinstance(obj, _SOURCES)


@strawberry.type(description="An utterance in a list.")
class UtteranceEdge:
    cursor: str = strawberry.field(description=CURSOR)
    node: Utterance = strawberry.field(description="The utterance.")
    marked: str | None = words(
        description="The text as HTML, escaped as in a `snippet` and not cut, with "
        "`<mark>…</mark>` around what `search` found; null without a search."
    )


async def _edges(root: strawberry.Parent[Slice[tables.Utterance]]) -> Any:
    """Return the items with their cursors and, after a search, with the matches marked."""
    marked: list[str] | list[None] = [None] * len(root.items)
    if isinstance(root, history.MatchingUtterances):
        marked = await root.marked()
    found = zip(root.cursors, root.items, marked, strict=True)
    return [MarkedEdge(*each) for each in found]


@strawberry.type(description="A page of utterances, in the order they were said.")
class UtteranceConnection:
    edges: list[UtteranceEdge] = strawberry.field(resolver=_edges, description=EDGES)
    nodes: list[Utterance] = strawberry.field(resolver=pages.nodes, description=NODES)
    page_info: PageInfo = strawberry.field(resolver=pages.page_info, description=PAGE_INFO)
    total_count: int = strawberry.field(resolver=pages.total_count, description=pages.TOTAL_COUNT)


@dataclass(slots=True)
class MarkedEdge:
    """An utterance, its cursor and, after a search, its text as HTML."""

    cursor: str
    node: tables.Utterance
    marked: str | None
