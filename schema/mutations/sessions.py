"""Renaming and deleting sessions."""

import strawberry

from models import tables
from resolvers.sessions import manage
from schema.context import Info
from schema.types.node import Given, the_result
from schema.types.session import Session


@strawberry.input(description="A session's new name.")
class RenameSessionInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")
    title: str = strawberry.field(
        description="1 to 200 characters; 'New Conversation' takes the name away again."
    )


@strawberry.type(description="The session with its new name.")
class RenameSessionPayload:
    session: Session = strawberry.field(
        resolver=the_result, description="The session under its new name."
    )


@strawberry.input(description="Which session to delete.")
class DeleteSessionInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")


@strawberry.type(description="What is gone.")
class DeleteSessionPayload:
    deleted_session_id: strawberry.ID = strawberry.field(
        resolver=the_result, description="The id of the session that is gone."
    )


@strawberry.type
class SessionMutations:
    @strawberry.mutation(
        graphql_type=RenameSessionPayload | None, description="Give a conversation a name."
    )
    async def rename_session(self, info: Info, input: Given[RenameSessionInput]) -> tables.Session:
        return await manage.rename_session(
            info.context.backend.transactions, info.context.viewer, input.session_id, input.title
        )

    @strawberry.mutation(
        graphql_type=DeleteSessionPayload | None,
        description="Delete a conversation and everything said in it, for good. One that runs is "
        "stopped.",
    )
    async def delete_session(self, info: Info, input: Given[DeleteSessionInput]) -> str:
        return await manage.delete_session(
            info.context.backend.transactions, info.context.viewer, input.session_id
        )
