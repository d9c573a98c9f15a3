"""saveSession, and the messages that clients report."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

import models
from resolvers import saving
from schema.context import Info
from schema.enums import Role
from schema.session import Session
from schema.utterance import Utterance


@strawberry.input(
    description="What a client shows as a message; the server's own record of the same key wins "
    "where it ranks higher."
)
class MessageInput:
    key: str = strawberry.field(description="Unique in its session; 1 to 128 characters.")
    role: Role
    text: str = strawberry.field(description="Not blank, at most 32 KiB.")
    timestamp: datetime
    is_final: bool = True


@strawberry.input(description="Which session to save, and what the client shows of it.")
class SaveSessionInput:
    session_id: strawberry.ID
    messages: list[MessageInput] = strawberry.field(
        default_factory=list,
        description="In the order shown, at most 10,000. What the server has need not be sent.",
    )


@strawberry.type(description="A message of the client's that lost against the server's record.")
class MessageConflict:
    index: int = strawberry.field(description="Place in the given messages.")
    submitted_text: str
    kept: Utterance


@strawberry.type(description="What saving did.")
class SaveSessionPayload:
    session: Session
    is_saved: bool = strawberry.field(
        description="False for a conversation in which nothing was said."
    )
    created_count: int = strawberry.field(description="Messages the server had not known.")
    conflicts: list[MessageConflict]


def messages_from(given_messages: Sequence[MessageInput]) -> list[saving.Message]:
    """Return the use case's own form of the messages."""
    return [
        saving.Message(
            key=each.key,
            role=models.Role[each.role.name],
            text=each.text,
            timestamp=each.timestamp,
            is_final=each.is_final,
        )
        for each in given_messages
    ]


@strawberry.type
class SavingMutations:
    @strawberry.mutation(
        graphql_type=SaveSessionPayload | None,
        description="End a conversation and keep it. Harmless to repeat, also with more messages.",
    )
    async def save_session(self, info: Info, input: SaveSessionInput) -> saving.Saved:
        return await saving.save_session(
            info.context.backend,
            info.context.viewer,
            input.session_id,
            messages_from(input.messages),
        )
