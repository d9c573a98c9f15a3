"""Starting and joining sessions, retrying the agent, and sending messages."""

from datetime import datetime

import strawberry

from models import tables
from resolvers.sessions import joining, sending, starting
from schema.context import Info
from schema.mutations.saving import SaveSessionInput, SaveSessionPayload, messages_from
from schema.types.enums import MediaTransport
from schema.types.node import Given, given, the_result
from schema.types.session import Session
from schema.types.utterance import Utterance


@strawberry.input(description="What the next conversation should be like; nothing is required.")
class StartNewChatInput:
    previous: SaveSessionInput | None = strawberry.field(
        default=strawberry.UNSET, description="The conversation to save first."
    )
    title: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="1 to 200 characters; without, the session is called by its first words.",
    )
    agent_name: str | None = strawberry.field(
        default=strawberry.UNSET, description="Another agent than the server's default."
    )
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET, description="Same key, same answer, for 24 hours."
    )


@strawberry.type(description="Where and with what to connect microphone and loudspeaker.")
class MediaAccess:
    transport: MediaTransport = strawberry.field(description="How sound travels.")
    url: str = strawberry.field(description="The address to connect to.")
    token: str = strawberry.field(description="For this session and this person alone.")
    expires_at: datetime = strawberry.field(
        description="Connect before this; `joinSession` gives a new one."
    )
    room_name: str | None = strawberry.field(description="Of a LiveKit connection.")
    sample_rate: int | None = strawberry.field(description="Of a local connection, in hertz.")


@strawberry.type(description="The conversation that began.")
class StartNewChatPayload:
    saved: SaveSessionPayload | None = strawberry.field(
        description="Null when there was no previous, or it has been deleted."
    )
    session: Session = strawberry.field(description="The conversation that began.")
    connection: MediaAccess | None = strawberry.field(
        description="Null when the session is FAILED."
    )


@strawberry.input(description="Which session to join.")
class JoinSessionInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")


@strawberry.type(description="A way into a session that runs.")
class JoinSessionPayload:
    session: Session = strawberry.field(description="The session that was joined.")
    connection: MediaAccess = strawberry.field(description="A fresh one for each call.")


@strawberry.input(description="Which session needs its agent.")
class RetryAgentInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")


@strawberry.type(description="The session, with its agent asked for again.")
class RetryAgentPayload:
    session: Session = strawberry.field(description="STARTING again, or FAILED at once.")
    connection: MediaAccess | None = strawberry.field(
        description="Null when the session is FAILED."
    )


@strawberry.input(description="A typed line.")
class SendMessageInput:
    session_id: strawberry.ID = strawberry.field(description="The session's id, `ses_…`.")
    key: str = strawberry.field(description="Same key, same utterance.")
    text: str = strawberry.field(description="Not blank, at most 32 KiB.")


@strawberry.type(description="The line as the server keeps it.")
class SendMessagePayload:
    utterance: Utterance = strawberry.field(
        resolver=the_result, description="The line, final and in its place."
    )


def previous_from(given_previous: SaveSessionInput | None) -> starting.Previous | None:
    """Convert the conversation to save first to the use case's type."""
    if given_previous is None:
        return None
    return starting.Previous(given_previous.session_id, messages_from(given_previous.messages))


@strawberry.type
class ChatMutations:
    @strawberry.mutation(
        graphql_type=StartNewChatPayload | None,
        description="Save the previous conversation, if one is given, and begin the next. Watch "
        "`sessionUpdates`: the session is STARTING, then ACTIVE or FAILED.",
    )
    async def start_new_chat(
        self,
        info: Info,
        input: Given[StartNewChatInput] = StartNewChatInput(),  # noqa: B008  (prints as `= {}`)
    ) -> starting.StartedChat:
        return await info.context.backend.chats.start_new_chat(
            info.context.viewer,
            previous=previous_from(given(input.previous)),
            title=given(input.title),
            agent_name=given(input.agent_name),
            idempotency_key=given(input.idempotency_key),
        )

    @strawberry.mutation(
        graphql_type=JoinSessionPayload | None,
        description="A media connection for a session that runs: after a reload, on a second "
        "device, when the token has expired.",
    )
    async def join_session(self, info: Info, input: Given[JoinSessionInput]) -> joining.Joined:
        return await joining.join_session(
            info.context.backend.media, info.context.viewer, input.session_id
        )

    @strawberry.mutation(
        graphql_type=RetryAgentPayload | None,
        description="Ask for the agent again: of a FAILED session, or of one whose agent is gone.",
    )
    async def retry_agent(self, info: Info, input: Given[RetryAgentInput]) -> starting.Retried:
        return await info.context.backend.chats.retry_agent(info.context.viewer, input.session_id)

    @strawberry.mutation(
        graphql_type=SendMessagePayload | None,
        description="Type a line to the agent of an ACTIVE session.",
    )
    async def send_message(self, info: Info, input: Given[SendMessageInput]) -> tables.Utterance:
        return await sending.send_message(
            info.context.backend.transactions,
            info.context.backend.config,
            info.context.viewer,
            input.session_id,
            input.key,
            input.text,
        )
