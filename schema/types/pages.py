"""Resolvers of connection fields: they turn a slice of a list into a connection."""

from dataclasses import dataclass
from typing import Any

import strawberry

from resolvers.pages import Slice
from schema.types.node import PageInfo

TOTAL_COUNT = "How many there are in all, with this filter; costs only when asked for."


@dataclass(slots=True)
class Edge:
    """An item and its cursor."""

    cursor: str
    node: Any


def edges(root: strawberry.Parent[Slice[Any]]) -> Any:
    """Return the items, each with its cursor."""
    return [Edge(cursor, item) for cursor, item in zip(root.cursors, root.items, strict=True)]


def nodes(root: strawberry.Parent[Slice[Any]]) -> Any:
    """Return the items alone."""
    return root.items


def page_info(root: strawberry.Parent[Slice[Any]]) -> PageInfo:
    """Return the position of this page in its list."""
    return PageInfo(
        has_next_page=root.has_next,
        has_previous_page=root.has_previous,
        start_cursor=root.cursors[0] if root.cursors else None,
        end_cursor=root.cursors[-1] if root.cursors else None,
    )


async def total_count(root: strawberry.Parent[Slice[Any]]) -> int:
    """Count the whole list."""
    return await root.count()
