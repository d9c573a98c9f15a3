"""Events are serialized once for identical subscriptions, and apart where viewers may differ."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import GraphQLSchema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext as Executor

from hub.events import SessionState, UtteranceState
from models.tables import Role, UtteranceSource
from resolvers.sessions.updates import SessionUpdate
from resolvers.transcripts.streams import TranscriptEvent
from resolvers.transcripts.watching import StreamEnd
from schema.context import Context
from schema.executable import EXECUTABLE
from schema.operations.documents import Documents
from schema.operations.events import EventFailed, Selection, Selections, SharedSelection

SCHEMA: GraphQLSchema = EXECUTABLE._schema
PLAIN = """
subscription ($id: ID!, $after: String) {
  transcripts(sessionId: $id, after: $after) {
    __typename cursor isCaughtUp utterances { ...Words } end { reason mayResume }
  }
}
fragment Words on Utterance { id text role startedAt ... on Utterance { isFinal } }"""


def selection(query: str, selections: Selections, documents: Documents | None = None) -> Selection:
    """Return the selection that serializes events for a subscriber with this document."""
    operation = (documents or Documents(SCHEMA)).operation(query)
    executor = Executor.build(
        SCHEMA,
        operation.document,
        context_value=cast(Context, SimpleNamespace(viewer="somebody")),
        raw_variable_values={"id": "ses_1", "flag": True},
    )
    assert not isinstance(executor, list), executor
    return selections.of(operation, executor)


def state(text: str) -> UtteranceState:
    return UtteranceState(
        role=Role.USER,
        source=UtteranceSource.SPEECH,
        text=text,
        is_final=False,
        started_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        id="utt_1",
        session_id="ses_1",
        key="key",
        revision=3,
        sort_key="8000000001",
        position=1.0,
    )


def test_an_event_is_told_as_graphql_would() -> None:
    """The payload has the selected fields in the document's order and nothing else."""
    event = TranscriptEvent("c1", (state("héllo"),), True, StreamEnd("SESSION_ENDED", False))

    payload = selection(PLAIN, Selections()).payload(event)

    assert payload == (
        '{"data":{"transcripts":{"__typename":"TranscriptEvent","cursor":"c1","isCaughtUp":true,'
        '"utterances":[{"id":"utt_1","text":"h\\u00e9llo","role":"USER",'
        '"startedAt":"2026-01-31T12:00:00.000000Z","isFinal":false}],'
        '"end":{"reason":"SESSION_ENDED","mayResume":false}}}}'
    )


def test_viewers_of_one_event_get_what_was_made_once() -> None:
    """The second viewer with the same document gets the identical string."""
    selections, documents, words = Selections(), Documents(SCHEMA), state("hello")
    first = selection(PLAIN, selections, documents)
    second = selection(PLAIN, selections, documents)

    told = first.payload(TranscriptEvent("c1", (words,), True))

    assert second.payload(TranscriptEvent("c1", (words,), True)) is told


@pytest.mark.parametrize(
    "other",
    [
        TranscriptEvent("c2", (), True),
        TranscriptEvent("c1", (), False),
        TranscriptEvent("c1", (), True, StreamEnd("SESSION_ENDED", False)),
        TranscriptEvent("c1", (state("hello"),), True),
    ],
    ids=["place", "replay", "end", "words"],
)
def test_events_that_differ_are_told_apart(other: TranscriptEvent) -> None:
    """Events with another cursor, replay state, end or utterances differ."""
    shared = selection(PLAIN, Selections())
    told = shared.payload(TranscriptEvent("c1", (), True))

    assert shared.payload(other) != told


def test_equal_words_of_another_moment_are_not_taken_for_the_same() -> None:
    """Payloads are cached by the state object, not by an address that may be reused."""
    shared = selection(PLAIN, Selections())

    told = [shared.payload(TranscriptEvent("c1", (state(str(n)),), True)) for n in range(1_000)]

    assert len(set(cast(list[str], told))) == 1_000


@pytest.mark.parametrize(
    "query",
    [
        "subscription ($id: ID!) { transcripts(sessionId: $id) { utterances { session { id } } } }",
        "subscription ($id: ID!, $flag: Boolean!) { transcripts(sessionId: $id) "
        "{ cursor @include(if: $flag) } }",
        "subscription ($id: ID!) { sessionUpdates(sessionId: $id) { session { agentState } } }",
        "subscription ($id: ID!) { transcripts(sessionId: $id) { ...E } } "
        "fragment E on TranscriptEvent { utterances { ...S } } "
        "fragment S on Utterance { session { title } }",
        "subscription ($id: ID!) { transcripts(sessionId: $id) "
        "{ utterances { ... on Node { id } } } }",
    ],
    ids=["asks who reads", "a variable decides", "state of now", "in a fragment", "an interface"],
)
def test_what_may_differ_between_viewers_is_not_shared(query: str) -> None:
    """Anything not read directly from the event is resolved for each subscriber."""
    selections = Selections()

    assert type(selection(query, selections)) is Selection
    assert not selections._known


def test_a_shared_selection_knows_nothing_of_who_came_first() -> None:
    """It outlives the first subscriber and must not keep that subscriber's context."""
    shared = selection(PLAIN, Selections())

    assert type(shared) is SharedSelection
    assert shared._executor.context_value is None


def test_a_long_subscription_keeps_nothing_of_its_past() -> None:
    """The executor's cache does not grow with the events."""
    alone = selection(PLAIN.replace("cursor", "cursor @skip(if: false)"), Selections())
    remembered: Any = alone._executor

    sizes = []
    for number in range(3):
        alone.payload(TranscriptEvent(str(number), (state("hello"),), True))
        sizes.append(len(remembered._relevant_sub_fields))

    assert sizes[0] == sizes[1] == sizes[2]


def test_what_many_watched_is_forgotten() -> None:
    """Cached payloads and selections are bounded in number."""
    selections = Selections()
    shared = selection(PLAIN, selections)
    for number in range(1_000):
        shared.payload(TranscriptEvent(str(number), (), True))
    for number in range(100):
        selection(PLAIN + f"#{number}", selections)

    assert isinstance(shared, SharedSelection)
    assert len(shared._known) == 256
    assert len(selections._known) == 64


SOME = " fragment Some on Utterance { role is: __typename startedAt }"
TOP = " fragment Top on TranscriptEvent { isCaughtUp utterances { text ...Some } }"
EVENTS = [
    TranscriptEvent("c1", (), True),
    TranscriptEvent("c1", (state("one"), state("twö\u2028")), False),
    TranscriptEvent("c9", (state(""),), True, StreamEnd("READER_TOO_SLOW", True)),
]


@pytest.mark.parametrize("event", EVENTS, ids=["marker", "batch", "end"])
@pytest.mark.parametrize(
    "query",
    [
        "{ transcripts(sessionId: 1) { a: cursor b: cursor cursor cursor } }",
        "{ heard: transcripts(sessionId: 1) { isCaughtUp end { reason } end { mayResume } } }",
        "{ transcripts(sessionId: 1) { utterances { confidence sortKey position revision endedAt "
        "language speaker isInterrupted source key } } }",
        "{ transcripts(sessionId: 1) { utterances { id } utterances { text id ...Some } "
        "end { ... on StreamEnd { reason } } } }" + SOME,
        "{ transcripts(sessionId: 1) { ...Top __typename cursor } }" + SOME + TOP,
    ],
    ids=["aliases", "merged", "leaves", "fragments", "nested fragments"],
)
def test_the_short_way_says_what_the_long_way_says(query: str, event: TranscriptEvent) -> None:
    """A compiled selection produces exactly the text that executing the document produces."""
    shared = selection("subscription " + query, Selections())

    assert isinstance(shared, SharedSelection)
    assert shared._write(event) == Selection.payload(shared, event)


ENDED = SessionState(
    id="ses_1",
    user_id="usr_1",
    shown_title="Tea",
    status="ENDED",
    agent_name="voxql",
    failure_code=None,
    failure_message=None,
    created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    started_at=None,
    ended_at=datetime(2026, 1, 31, 13, tzinfo=UTC),
    end_reason="SAVED",
    utterance_count=7,
    preview="Is there any tea?",
    version=3,
    last_seq=9,
)


@pytest.mark.parametrize(
    "event",
    [
        SessionUpdate(),
        SessionUpdate(ENDED),
        SessionUpdate(deleted_session_id="ses_1"),
        SessionUpdate(end=StreamEnd("SERVER_SHUTDOWN", True)),
    ],
    ids=["marker", "state", "gone", "end"],
)
def test_session_updates_are_compiled_too(event: SessionUpdate) -> None:
    """Attributes with other names than their fields are read, too."""
    shared = selection(
        "subscription { sessionUpdates { session { id title status agentName createdAt startedAt "
        "endedAt endReason utteranceCount preview version } deletedSessionId end { reason } } }",
        Selections(),
    )

    assert isinstance(shared, SharedSelection)
    assert shared.payload(event) == shared._write(event) == Selection.payload(shared, event)


def test_what_does_not_fit_the_schema_is_an_error_as_ever() -> None:
    """A compiled selection falls back to execution, which reports a value the schema forbids."""
    broken = TranscriptEvent("c1", (state(cast(str, None)),), True)

    with pytest.raises(EventFailed) as failed:
        selection(PLAIN, Selections()).payload(broken)

    assert failed.value.errors[0]["path"] == ["transcripts", "utterances", 0, "text"]
