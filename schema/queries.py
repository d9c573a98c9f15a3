"""All queries."""

from typing import Annotated, Any

import strawberry

from models import tables
from resolvers import nodes
from resolvers.accounts import authentication
from resolvers.pages import Page, Slice
from resolvers.sessions import history, manage
from resolvers.sessions.history import HistoryEntry
from schema.context import Info
from schema.types.node import After, Before, First, Last, Node, given
from schema.types.session import Session
from schema.types.session_history import SessionConnection, SessionFilter, filter_from
from schema.types.user import User

AnyId = Annotated[strawberry.ID, strawberry.argument(description="The id of anything.")]
AnyIds = Annotated[
    list[strawberry.ID], strawberry.argument(description="The ids, at most 100, of any kind.")
]
SessionId = Annotated[strawberry.ID, strawberry.argument(description="The session's id, `ses_…`.")]
Filter = Annotated[
    SessionFilter | None, strawberry.argument(description="Which conversations; all without it.")
]


@strawberry.type(description="Everything that can be read.")
class Query:
    @strawberry.field(
        graphql_type=User | None,
        description="Who is signed in; null when nobody is. Never an error.",
    )
    async def viewer(self, info: Info) -> tables.User | None:
        viewer = info.context.viewer
        return await authentication.viewer_user(viewer) if viewer else None

    @strawberry.field(
        graphql_type=Node | None,
        description="Anything by its id; null for what isn't yours or isn't there.",
    )
    async def node(self, info: Info, id: AnyId) -> Any:
        return await nodes.node(info.context.viewer, id)

    @strawberry.field(
        graphql_type=list[Node | None],
        description="Several by their ids, at most 100; null in the place of what isn't yours.",
    )
    async def nodes(self, info: Info, ids: AnyIds) -> list[Any]:
        return await nodes.nodes(info.context.viewer, ids)

    @strawberry.field(
        graphql_type=Session | None,
        description="One conversation. NOT_FOUND, FORBIDDEN or UNAUTHENTICATED say why it isn't "
        "shown.",
    )
    async def session(self, info: Info, id: SessionId) -> tables.Session:
        return await manage.get_session(info.context.viewer, id)

    @strawberry.field(
        graphql_type=SessionConnection | None,
        description="The viewer's conversations, newest first: those in which something was said "
        "or typed; forward with `first` and `after`, backward with `last` and `before`. 20 at "
        "once, at most 100.",
    )
    async def session_history(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Filter = strawberry.UNSET,
    ) -> Slice[HistoryEntry]:
        page = Page(given(first), given(after), given(last), given(before))
        return await history.session_history(info.context.viewer, page, filter_from(given(filter)))
