"""saveSession, and the messages that clients report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import strawberry
from strawberry.types import get_object_definition

from resolvers.sessions import saving
from schema.context import Info
from schema.types.enums import Role
from schema.types.node import Given
from schema.types.session import Session
from schema.types.utterance import Utterance

CONFLICT_TEXT: Final = 2 * 1024 * 1024
"""Characters of text in the conflicts of one save."""


@strawberry.input(
    description="What a client shows as a message; the server's own record of the same key wins "
    "where it ranks higher."
)
class MessageInput:
    key: str = strawberry.field(description="Unique in its session; 1 to 128 characters.")
    role: Role = strawberry.field(description="Who said it.")
    text: str = strawberry.field(description="Not blank, at most 32 KiB.")
    timestamp: datetime = strawberry.field(description="When it began, by the client's clock.")
    is_final: bool = strawberry.field(
        default=True, description="False for words that may still change."
    )


@strawberry.input(description="Which session to save, and what the client shows of it.")
class SaveSessionInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")
    messages: list[MessageInput] = strawberry.field(
        default_factory=list,
        description="In the order shown, at most 10,000. What the server has need not be sent.",
    )


@strawberry.type(description="A message of the client's that lost against the server's record.")
class MessageConflict:
    index: int = strawberry.field(description="Place in the given messages.")
    submitted_text: str = strawberry.field(description="What the client had sent.")
    kept: Utterance = strawberry.field(description="What the server keeps in its place.")


@strawberry.type(description="What saving did.")
class SaveSessionPayload:
    session: Session = strawberry.field(description="The session, ended.")
    is_saved: bool = strawberry.field(
        description="False for a conversation in which nothing was said."
    )
    created_count: int = strawberry.field(description="Messages the server had not known.")

    @strawberry.field(
        graphql_type=list[MessageConflict],
        description="Messages whose text lost and differs, until their texts come to 2 Mi "
        "characters. Save those after the last of them again for the rest.",
    )
    @staticmethod
    def conflicts(root: strawberry.Parent[saving.Saved]) -> list[saving.MessageConflict]:
        # The messages are already saved, so the response can't be refused for its size.
        length = 0
        for index, each in enumerate(root.conflicts):
            length += len(each.submitted_text) + len(each.kept.text)
            if length > CONFLICT_TEXT:
                return root.conflicts[:index]
        return root.conflicts


def messages_from(given_messages: Sequence[MessageInput]) -> list[saving.Message]:
    """Return the messages as the use case's type."""
    # graphql-core has already called `message_from`; the type checker can't know that.
    return cast(list[saving.Message], given_messages)


def message_from(given: Mapping[str, Any]) -> saving.Message:
    """Build a message from graphql-core's values; `schema.executable` registers this function."""
    return saving.Message(
        key=given["key"],
        role=given["role"],
        text=given["text"],
        timestamp=given["timestamp"],
        is_final=given["isFinal"],
    )


def _input(kind: type, given: Mapping[str, Any], context: object) -> SaveSessionInput:
    return SaveSessionInput(session_id=given["sessionId"], messages=given["messages"])


# A request may have ten thousand messages, and Strawberry's own conversion would look up the name
# and the type of every field of each.
get_object_definition(SaveSessionInput, strict=True).from_input = _input


@strawberry.type
class SavingMutations:
    @strawberry.mutation(
        graphql_type=SaveSessionPayload | None,
        description="End a conversation and keep it. Harmless to repeat, also with more messages.",
    )
    async def save_session(self, info: Info, input: Given[SaveSessionInput]) -> saving.Saved:
        return await info.context.backend.saving.save_session(
            info.context.viewer,
            input.session_id,
            messages_from(input.messages),
        )
