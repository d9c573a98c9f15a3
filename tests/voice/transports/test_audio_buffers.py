"""Buffers of an audio connection are bounded."""

import pytest

from agent_bridge.media.buffers import Flow, Overflow, Pace


async def test_a_flow_that_may_drops_the_oldest_sound_and_counts_it() -> None:
    """The oldest unread sound is dropped; control frames stay."""
    flow = Flow(4, drops_oldest=True)
    flow.put("frame")
    for data in (b"aa", b"bb", b"cc"):
        flow.put(data)
    assert [await flow.get() for _ in range(3)] == ["frame", b"bb", b"cc"]
    assert flow.dropped == 2


def test_a_flow_that_may_not_says_that_it_is_full() -> None:
    """A gap in a reply would make every later report wrong."""
    flow = Flow(4)
    flow.put(b"aaaa")
    with pytest.raises(Overflow):
        flow.put(b"bb")


def test_many_small_messages_are_bounded_too() -> None:
    """Each message costs more than its bytes."""
    flow = Flow(1_000_000)
    for _ in range(2_000):
        flow.put("x")
    with pytest.raises(Overflow):
        flow.put("x")


async def test_a_new_agent_gets_the_sound_but_not_the_frames_of_the_one_before() -> None:
    """Reports concern replies that the new agent doesn't know."""
    flow = Flow(10, drops_oldest=True)
    for message in (b"aa", "played", b"bb"):
        flow.put(message)
    kept = flow.only_sound()
    assert [await kept.get(), await kept.get()] == [b"aa", b"bb"]


def test_sound_may_burst_and_drift_but_not_race() -> None:
    """30 s at once and 1.5 times real time are allowed; twice real time is, for a limited time."""
    now = 0.0
    pace = Pace(100, lambda: now)
    assert pace.allows(3_000)
    assert not pace.allows(1)
    steady = Pace(100, lambda: now)
    for _ in range(1_000):
        now += 1
        assert steady.allows(150)
    seconds = 0
    while steady.allows(200):
        now += 1
        seconds += 1
    assert 50 <= seconds <= 65
