"""All subscriptions, and their events."""

from collections.abc import AsyncIterable
from typing import Annotated

import strawberry

from resolvers.sessions import updates
from resolvers.transcripts import streams
from schema.context import Info
from schema.scopes import words
from schema.types.enums import StreamEndReason
from schema.types.node import given
from schema.types.session import Session
from schema.types.utterance import Utterance

Watched = Annotated[strawberry.ID, strawberry.argument(description="The session's id, `ses_…`.")]
PerhapsOne = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="One session's id; all of yours without it."),
]
Cursor = Annotated[
    str | None,
    strawberry.argument(
        description="The newest `cursor` that you hold, or `transcriptCursor`; everything without."
    ),
]


@strawberry.type(description="Why a stream ended, on its last event.")
class StreamEnd:
    reason: StreamEndReason = strawberry.field(description="What ended it.")
    may_resume: bool = strawberry.field(
        description="Whether subscribing again after this cursor makes sense."
    )


@strawberry.type(description="What changed in a transcript.")
class TranscriptEvent:
    cursor: str = strawberry.field(
        description="Everything up to here has been delivered on this stream; pass it as `after` "
        "when you come back."
    )
    utterances: list[Utterance] = words(
        description="The newest state of what changed; one utterance as a rule, a batch while "
        "catching up, none on a mere marker."
    )
    is_caught_up: bool = strawberry.field(
        description="False while the past is being replayed; true from the first live event on."
    )
    end: StreamEnd | None = strawberry.field(description="Set on the last event only.")


@strawberry.type(description="What changed in a session; its newest state.")
class SessionUpdate:
    session: Session | None = strawberry.field(
        description="As it is now; null on an event about something else."
    )
    deleted_session_id: strawberry.ID | None = strawberry.field(
        description="Set when a session is gone, or is another user's."
    )
    end: StreamEnd | None = strawberry.field(description="Set on the last event only.")


# Both fields authorise before they return the stream, so that a refusal is an `error` message
# before the first event.
@strawberry.type(description="Everything that can be watched while it happens.")
class Subscription:
    @strawberry.subscription(
        graphql_type=TranscriptEvent,
        description="Every word of a session while it is spoken: first what you have not seen "
        "(everything, or what came after the cursor in `after`), then what happens.",
    )
    async def transcripts(
        self, info: Info, session_id: Watched, after: Cursor = strawberry.UNSET
    ) -> AsyncIterable[streams.TranscriptEvent]:
        return await info.context.backend.transcripts.open_transcripts(
            info.context.viewer, session_id, given(after)
        )

    @strawberry.subscription(
        graphql_type=SessionUpdate,
        description="One session, or all of the viewer's. The first event says that the stream is "
        "registered: with the session as it is when one was asked for, else with neither session "
        "nor deletedSessionId (read lists after it). Then every change.",
    )
    async def session_updates(
        self, info: Info, session_id: PerhapsOne = strawberry.UNSET
    ) -> AsyncIterable[updates.SessionUpdate]:
        return await updates.open_session_updates(
            info.context.backend.hub,
            info.context.backend.metrics,
            info.context.backend.clock,
            info.context.viewer,
            given(session_id),
        )
