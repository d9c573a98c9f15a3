"""Which jobs get a place, and the load that LiveKit is told."""

import logging

import pytest

from agent.places import PlacePool

OFFERED_BELOW = 0.7
"""LiveKit's default `agents.target_load`: a worker with more load is not asked."""


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 10, 40, 1_000])
def test_a_worker_is_asked_until_its_last_place_is_taken(count: int) -> None:
    """The load stays under LiveKit's limit while a place is free, and is 1 when none is."""
    places = PlacePool(count)
    for number in range(count):
        assert places.load < OFFERED_BELOW
        assert places.take(f"job-{number}")
    assert places.load == 1.0
    assert not places.take("one-too-many")
    assert places.taken == count


def test_a_place_is_taken_once_and_given_back_once() -> None:
    """Repeated calls change nothing."""
    places = PlacePool(2)
    assert places.take("a")
    places.hold("a")
    assert places.taken == 1
    places.free("a")
    places.free("a")
    places.free("never-had-one")
    assert places.taken == 0


def test_who_is_there_already_is_counted_beyond_the_last_place() -> None:
    """No other job is accepted before there is room again."""
    places = PlacePool(1)
    assert places.take("a")
    places.hold("late")
    assert (places.taken, places.load) == (2, 1.0)
    places.free("a")
    assert not places.take("b")
    places.free("late")
    assert places.take("b")


def test_the_log_says_when_all_places_are_taken_and_when_one_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each message has the figures."""
    caplog.set_level(logging.INFO)
    places = PlacePool(2)
    for job in ("a", "b"):
        places.take(job)
    places.free("a")
    places.free("b")
    assert caplog.messages == [
        "all 2 places are taken; LiveKit is told so",
        "a has given its place back: 1 of 2 places are taken",
        "b has given its place back: 0 of 2 places are taken",
    ]
