"""The outbox on its own: what it keeps, what is due, and what an answer settles."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_bridge.client import outbox as client_outbox
from agent_bridge.client.outbox import Outbox
from agent_bridge.protocol import Utterance

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def said(segment: str, revision: int = 0, *, final: bool = False, text: str = "t") -> Utterance:
    return Utterance(
        segment=segment, revision=revision, role="USER", text=text, final=final, started_at=NOW
    )


def due(outbox: Outbox) -> list[tuple[str, int, bool]]:
    """Take everything that is due."""
    taken = []
    while utterance := outbox.take():
        taken.append((utterance.segment, utterance.revision, utterance.final))
    return taken


def test_the_outbox_counts_where_the_agent_does_not() -> None:
    """It counts revisions from 1 within each segment, interims and finals alike."""
    outbox = Outbox()
    for segment, final in (("a", False), ("b", False), ("a", False), ("a", True)):
        outbox.put(said(segment, final=final))
    assert due(outbox) == [("a", 3, True), ("b", 1, False)]


def test_an_answer_to_a_later_interim_settles_the_one_that_is_held() -> None:
    """An answer to an older one does not."""
    outbox = Outbox()
    outbox.put(said("a", 4))
    assert outbox.settle("a", 3) is None
    assert outbox.settle("a", 5) is not None
    outbox.resend()
    assert due(outbox) == []


def test_a_final_is_settled_by_an_answer_to_itself_only() -> None:
    """An answer to an interim in transit must not discard the final."""
    outbox = Outbox()
    outbox.put(said("a", 4, final=True))
    assert outbox.settle("a", 3) is None
    assert outbox.settle("a", 5) is None
    assert outbox.finals == 1
    assert outbox.settle("a", 4) is not None
    assert outbox.finals == 0
    assert outbox.settle("a", 4) is None


def test_a_later_final_replaces_the_first() -> None:
    """An agent may learn after speaking how much of it was heard."""
    outbox = Outbox()
    outbox.put(said("a", final=True))
    outbox.put(said("a", final=True))
    assert due(outbox) == [("a", 2, True)]
    assert outbox.settle("a", 1) is None
    assert outbox.finals == 1


def test_a_final_that_is_out_of_order_is_the_agents_fault() -> None:
    """Dropping it silently would lose words."""
    outbox = Outbox()
    outbox.put(said("a", 4))
    assert not outbox.put(said("a", 4))
    with pytest.raises(ValueError, match="above 4"):
        outbox.put(said("a", 4, final=True))


def test_interims_that_nobody_finishes_are_bounded_and_finals_are_not() -> None:
    """The outbox drops the oldest interim and never a final."""
    outbox = Outbox()
    for number in range(client_outbox.MOST_INTERIMS + 1):
        outbox.put(said(f"i{number}"))
        outbox.put(said(f"f{number}", final=True))
    left = due(outbox)
    assert ("i0", 1, False) not in left
    assert ("i1", 1, False) in left
    assert sum(final for _, _, final in left) == outbox.finals == client_outbox.MOST_INTERIMS + 1


def test_only_so_many_segments_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversation of days does not grow the agent's memory."""
    monkeypatch.setattr(client_outbox, "MOST_SEGMENTS", 3)
    outbox = Outbox()
    for number in range(10):
        outbox.put(said(f"s{number}", final=True))
        outbox.settle(f"s{number}", 1)
    assert len(outbox._last) == 3
    assert not outbox.put(said("s9"))


segments = st.sampled_from("abc")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), segments, st.booleans()),
        st.tuples(st.just("take"), st.just(""), st.just(False)),
        st.tuples(st.just("ack"), st.just(""), st.just(False)),
        st.tuples(st.just("break"), st.just(""), st.just(False)),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_happens_the_server_ends_with_every_final(
    steps: list[tuple[str, str, bool]],
) -> None:
    """Frames and answers may be lost at any point; in the end all finals are stored."""
    outbox, wire, stored = Outbox(), list[Utterance](), dict[str, Utterance]()
    said_finally: dict[str, int] = {}
    for kind, segment, final in steps:
        if kind == "put" and outbox.put(said(segment, final=final)) and final:
            said_finally[segment] = outbox._last[segment][0]
        elif kind == "take" and (utterance := outbox.take()):
            held = stored.get(utterance.segment)
            assert not (held and held.final and not utterance.final)
            if held is None or utterance.revision > held.revision:
                stored[utterance.segment] = utterance
            wire.append(utterance)
        elif kind == "ack" and wire:
            answered = wire.pop(0)
            outbox.settle(answered.segment, answered.revision)
        elif kind == "break":
            wire.clear()
            outbox.resend()
    outbox.resend()
    while utterance := outbox.take():
        stored[utterance.segment] = utterance
        outbox.settle(utterance.segment, utterance.revision)
    assert outbox.finals == 0
    finals = {name: kept.revision for name, kept in stored.items() if kept.final}
    assert finals == said_finally
