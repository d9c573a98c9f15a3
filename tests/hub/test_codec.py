"""Every event survives encoding for another process."""

import random
import string
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import msgspec
import pytest

from agent_bridge.server.workers import StartUnplaced
from hub import codec, events
from hub.events import Event, Fence, Gone, Input, SessionState, Stop, UtteranceState
from models.tables import Role, UtteranceSource

RANDOM = random.Random(13)
MOMENT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def text() -> str:
    return "".join(RANDOM.choices(string.printable + "äß漢🙂\0", k=RANDOM.randint(1, 12)))


def state(**more: Any) -> UtteranceState:
    values: dict[str, Any] = {
        "role": Role.USER,
        "source": UtteranceSource.SPEECH,
        "text": "hé\0llo",
        "is_final": False,
        "started_at": MOMENT,
        "id": "utt_1",
        "session_id": "ses_1",
        "key": "SG_1",
        "revision": 2**60,
        "sort_key": "8000000001",
        "position": 0.1,
    }
    return UtteranceState(**{**values, **more})


SESSION = SessionState(
    id="ses_1",
    user_id="usr_1",
    shown_title="A title",
    status="FAILED",
    agent_name="voxql",
    failure_code="AGENT_TIMEOUT",
    failure_message="Too late.",
    created_at=MOMENT,
    started_at=None,
    ended_at=MOMENT + timedelta(microseconds=1),
    end_reason="SAVED",
    utterance_count=3,
    preview=None,
    version=4,
    last_seq=5,
    agent_at=2**31 - 1,
)
EVENTS = [
    events.InterimHeard(state(speaker=text(), confidence=0.25)),
    events.TranscriptCommitted("ses_1", 1, 2, ((1, state()), (2, state(is_final=True)))),
    events.TranscriptCommitted("ses_1", 1, 900, None),
    events.TranscriptEnded("ses_1", "SESSION_DELETED", 7),
    events.SessionChanged("ses_1", "usr_1", SESSION),
    events.SessionChanged("ses_1", None, None),
    events.SessionDeleted("ses_1", "usr_1"),
    events.SessionMoved("ses_1", "usr_1", "usr_2"),
    events.SessionOver("ses_1", "room"),
    events.AgentWanted("ses_1", "usr_1", 2, "voxql", "room", True),
    *(
        events.AgentCommanded("ses_1", command)
        for command in (Fence(2, "con"), Fence(1), Stop("SAVED"), Input(text(), text()), Gone())
    ),
    events.ServerStopping(),
    events.AccessRevoked("log_1"),
    events.OwnershipLost("ses_1", "usr_1"),
    StartUnplaced("ses_1", 1, "FULL"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    """A decoded event has the same topics, urgency, weight and coalescing key."""
    arrived = codec.decode(codec.encode(event))

    assert arrived == event
    assert type(arrived) is type(event)
    assert arrived.topics == event.topics
    for name in ("coalesce_key", "is_for_all", "is_urgent", "progress", "weight"):
        assert getattr(arrived, name, None) == getattr(event, name, None)


def test_every_kind_of_event_is_tried() -> None:
    """A newly added event class must be added to EVENTS."""
    assert {type(event) for event in EVENTS} == set(Event.__subclasses__())


def test_a_moment_by_this_processs_clock_stays_here() -> None:
    """Another process would misread it as a time of its own clock."""
    heard = events.InterimHeard(state(), 12.5)

    arrived = codec.decode(codec.encode(heard))

    assert isinstance(arrived, events.InterimHeard)
    assert arrived.heard_at is None
    assert arrived.utterance == heard.utterance


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", codec.encode(EVENTS[0])[:-1]])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    """Truncated, empty or foreign bytes raise an error."""
    with pytest.raises(msgspec.MsgspecError):
        codec.decode(data)


def test_the_content_of_an_utterance_is_listed_once() -> None:
    """CONTENT names fields of UtteranceState, and content_of() returns all of them in order."""
    assert set(events.CONTENT) <= set(get_type_hints(UtteranceState))
    assert events.content_of(state(text="x"))[events.CONTENT.index("text")] == "x"
