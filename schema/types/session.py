"""The Session type: one conversation."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from models import tables
from resolvers.pages import Page, Slice
from resolvers.transcripts import cursors
from schema.context import Info
from schema.loaders import AnySession
from schema.scopes import words
from schema.types.enums import AgentState, EndReason, SessionStatus
from schema.types.node import After, Before, First, Last, Node, given
from schema.types.utterance import UtteranceConnection

_MAX_INT = 2**31 - 1
"""GraphQL's largest Int; in milliseconds, 24 days."""

IsFinal = Annotated[
    bool | None, strawberry.argument(description="Only those that are settled, or only the others.")
]

Search = Annotated[
    str | None,
    strawberry.argument(
        description="Only those with any of these words or beginnings of words, as in the search "
        "of the history; what may still change is not found. The cursors are the same as without."
    ),
]


@strawberry.type(description="Why the agent is not there, in words for the person.")
class AgentFailure:
    code: str = strawberry.field(description="AGENT_UNAVAILABLE or AGENT_TIMEOUT.")
    message: str = strawberry.field(description="A sentence for the person.")
    is_retryable: bool = strawberry.field(description="Whether `retryAgent` may help.")


async def _state_elsewhere(info: Info, root: AnySession) -> AgentState:
    state = await info.context.loaders.agent_state.load(root)
    if state is None:
        # It is connected; only what it does is unknown for now.
        is_joining = root.status == tables.SessionStatus.STARTING
        return AgentState.INITIALIZING if is_joining else AgentState.LISTENING
    return AgentState[state]


@strawberry.type(description="One conversation between a person and an agent.")
class Session(Node):
    shown_title: str = words(
        name="title",
        description="The name that somebody gave it, else the first words of the person, else "
        "'New Conversation'.",
    )
    status: SessionStatus = strawberry.field(description="Where it is in its life.")
    agent_name: str = strawberry.field(description="Which agent was asked for.")

    @strawberry.field(description="Null unless the agent is connected.")
    @staticmethod
    def agent_state(info: Info, root: strawberry.Parent[AnySession]) -> AgentState | None:
        connections = info.context.backend.connections
        state = connections.agent_state(root.id)
        if state is None and connections.is_elsewhere(root.agent_at):
            # Awaited by graphql-core; nobody waits for an agent that is connected here.
            return _state_elsewhere(info, root)  # type: ignore[return-value]
        return None if state is None else AgentState[state]

    @strawberry.field(
        description="Set exactly when status is FAILED; its code is AGENT_UNAVAILABLE or "
        "AGENT_TIMEOUT."
    )
    @staticmethod
    def failure(root: strawberry.Parent[AnySession]) -> AgentFailure | None:
        if root.status != tables.SessionStatus.FAILED:
            return None
        return AgentFailure(
            code=root.failure_code or "AGENT_UNAVAILABLE",
            message=root.failure_message or "The agent did not start. Try again.",
            is_retryable=True,
        )

    created_at: datetime = strawberry.field(description="The order of the history; never changes.")
    started_at: datetime | None = strawberry.field(description="When the agent was ready.")
    ended_at: datetime | None = strawberry.field(
        description="When the person ended it, or the server did."
    )
    end_reason: EndReason | None = strawberry.field(description="Why it ended; null until it has.")

    @strawberry.field(description="From `startedAt` to `endedAt`; null until both are set.")
    @staticmethod
    def duration_ms(root: strawberry.Parent[AnySession]) -> int | None:
        if root.started_at is None or root.ended_at is None:
            return None
        elapsed = (root.ended_at - root.started_at).total_seconds()
        return max(0, min(_MAX_INT, round(elapsed * 1000)))

    utterance_count: int = strawberry.field(
        description="How many utterances there are; a session without any is not in the history."
    )
    preview: str | None = words(description="The beginning of what was said, for lists.")
    version: int = strawberry.field(
        description="Counts the committed changes of this object; drop older copies. agentState is "
        "volatile and does not count."
    )

    @strawberry.field(
        description="Read utterances, then subscribe to `transcripts` after this: no gap."
    )
    @staticmethod
    def transcript_cursor(root: strawberry.Parent[AnySession]) -> str:
        return cursors.transcript_cursor(root)

    @words(
        graphql_type=UtteranceConnection,
        description="What was said, in order; pages forward with `first` and `after`, backward "
        "with `last` and `before`. At most 500 at once.",
    )
    @staticmethod
    async def utterances(
        info: Info,
        root: strawberry.Parent[AnySession],
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        is_final: IsFinal = strawberry.UNSET,
        search: Search = strawberry.UNSET,
    ) -> Slice[tables.Utterance]:
        page = Page(given(first), given(after), given(last), given(before))
        return await info.context.loaders.utterances(root, page, given(is_final), given(search))

    @classmethod
    def is_type_of(cls, obj: object, info: Any) -> bool:
        return isinstance(obj, AnySession)
