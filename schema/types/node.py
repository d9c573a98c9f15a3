"""The Node interface, the PageInfo of connections, and the arguments that fields share."""

from typing import Annotated, Any, TypeVar

import strawberry

EDGES = "The items of this page, each with its cursor."
NODES = "The items of this page alone."
PAGE_INFO = "Where this page lies in the list."
CURSOR = "The place of this item; pass it as `after` or `before`."

T = TypeVar("T")
Given = Annotated[T, strawberry.argument(description="Everything that this needs.")]
"""A mutation's only argument."""
First = Annotated[
    int | None, strawberry.argument(description="How many, from the beginning of what is left.")
]
After = Annotated[
    str | None, strawberry.argument(description="Go on after the item with this cursor.")
]
Last = Annotated[
    int | None, strawberry.argument(description="How many, from the end of what is left.")
]
Before = Annotated[
    str | None, strawberry.argument(description="End before the item with this cursor.")
]


@strawberry.interface(description="Anything that has an id of its own and can be read again by it.")
class Node:
    id: strawberry.ID = strawberry.field(
        description="A TypeID: its prefix says what it names (`ses_…`, `utt_…`, `usr_…`, `tok_…`), "
        "and ids sort by the time they were made."
    )


@strawberry.type(description="Where a page lies in its list (Relay cursor connections).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows after `endCursor`.")
    has_previous_page: bool = strawberry.field(
        description="Whether anything lies before `startCursor`."
    )
    start_cursor: str | None = strawberry.field(description="Pass it as `before` to go back.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` to go on.")


def given(value: Any) -> Any:
    """Return the value of a nullable argument, or None if the client omitted it."""
    return None if value is strawberry.UNSET else value


def the_result(root: strawberry.Parent[Any]) -> Any:
    """Resolve a payload's only field to the use case's result."""
    return root
