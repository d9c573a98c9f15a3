"""The signed-in person and their API tokens."""

from datetime import datetime
from typing import Any

import strawberry

from models import tables
from resolvers.accounts import api_tokens
from resolvers.pages import Page, Slice
from schema.context import Info
from schema.types import pages
from schema.types.enums import TokenScope
from schema.types.node import (
    CURSOR,
    EDGES,
    NODES,
    PAGE_INFO,
    After,
    Before,
    First,
    Last,
    Node,
    PageInfo,
    given,
)


@strawberry.type(description="A secret with which a program acts for its user.")
class ApiToken(Node):
    name: str = strawberry.field(description="What its owner calls it.")
    scopes: list[TokenScope] = strawberry.field(description="What it may be used for.")
    prefix: str = strawberry.field(
        description="The first characters of the secret, to tell tokens apart."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    last_used_at: datetime | None = strawberry.field(description="Null until it is used.")
    expires_at: datetime | None = strawberry.field(description="Null for one that never expires.")

    @classmethod
    def is_type_of(cls, obj: object, info: Any) -> bool:
        return isinstance(obj, tables.ApiToken)


@strawberry.type(description="An API token in a list.")
class ApiTokenEdge:
    cursor: str = strawberry.field(description=CURSOR)
    node: ApiToken = strawberry.field(description="The token.")


@strawberry.type(description="A page of API tokens, newest first.")
class ApiTokenConnection:
    edges: list[ApiTokenEdge] = strawberry.field(resolver=pages.edges, description=EDGES)
    nodes: list[ApiToken] = strawberry.field(resolver=pages.nodes, description=NODES)
    page_info: PageInfo = strawberry.field(resolver=pages.page_info, description=PAGE_INFO)
    total_count: int = strawberry.field(resolver=pages.total_count, description=pages.TOTAL_COUNT)


@strawberry.type(description="A person, or a guest who may become one by signing up.")
class User(Node):
    email: str | None = strawberry.field(description="Null for a guest.")
    is_guest: bool = strawberry.field(description="Whether nobody has claimed this account yet.")
    created_at: datetime = strawberry.field(description="When the account was made.")

    @strawberry.field(
        graphql_type=ApiTokenConnection,
        description="Tokens for programs, newest first; 20 at once, at most 100. A token can't "
        "list tokens: FORBIDDEN.",
    )
    @staticmethod
    async def api_tokens(
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> Slice[tables.ApiToken]:
        page = Page(given(first), given(after), given(last), given(before))
        return await api_tokens.list_api_tokens(info.context.viewer, page)

    @classmethod
    def is_type_of(cls, obj: object, info: Any) -> bool:
        return isinstance(obj, tables.User)
