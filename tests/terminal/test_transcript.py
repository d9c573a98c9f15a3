"""The terminal's copy of a transcript."""

from typing import Any

from terminal.client.transcript import Transcript


def utterance(key: str, revision: int = 1, **given: Any) -> dict[str, Any]:
    return {
        "key": key,
        "revision": revision,
        "role": "USER",
        "text": "Hello.",
        "isFinal": True,
        "isInterrupted": False,
        "sortKey": "8000000001",
        "startedAt": "2026-11-22T17:30:00Z",
        "source": "SPEECH",
    } | given


def test_a_higher_revision_is_news() -> None:
    """Delivery is at least once, so equal and older revisions change nothing."""
    transcript = Transcript()
    assert transcript.take(utterance("a", 1, text="Hel", isFinal=False))
    assert transcript.take(utterance("a", 3, text="Hello.", isFinal=False))
    assert not transcript.take(utterance("a", 3, text="Hello.", isFinal=False))
    assert not transcript.take(utterance("a", 2, text="Hell", isFinal=False))
    assert [line.text for line in transcript.lines] == ["Hello."]
    assert not transcript.is_settled


def test_lines_are_in_the_servers_order() -> None:
    """The sort key decides, not the time of arrival."""
    transcript = Transcript()
    transcript.take(utterance("b", role="AGENT", sortKey="8000000002", text="Second."))
    transcript.take(utterance("a", sortKey="8000000001", text="First."))
    assert [line.text for line in transcript.lines] == ["First.", "Second."]
    assert transcript.is_answered


def test_an_agent_that_spoke_first_has_not_answered() -> None:
    """A greeting is no answer."""
    transcript = Transcript()
    transcript.take(utterance("a", role="AGENT", text="Good evening!"))
    assert not transcript.is_answered
    transcript.take(utterance("b", sortKey="8000000002"))
    assert not transcript.is_answered


def test_messages_carry_the_servers_keys() -> None:
    """Saved messages have the server's keys, so that it matches them with its own records."""
    transcript = Transcript()
    transcript.take(utterance("seg_1", isFinal=False, text="Hel"))
    assert transcript.messages == [
        {
            "key": "seg_1",
            "role": "USER",
            "text": "Hel",
            "timestamp": "2026-11-22T17:30:00Z",
            "isFinal": False,
        }
    ]
