"""What every object with an id shares, and the page information of every connection."""

from typing import Any

import strawberry


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
    """Return what a client gave for a nullable argument, and None for what it left out."""
    return None if value is strawberry.UNSET else value


def the_result(root: strawberry.Parent[Any]) -> Any:
    """Resolve a payload's only field: the use case returned just that."""
    return root
