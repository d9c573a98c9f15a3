"""The hub delivers in order, bounds its queues, coalesces states and never waits for a reader."""

import asyncio
from dataclasses import dataclass

import pytest

from hub.events import (
    AccessRevoked,
    OwnershipLost,
    SessionChanged,
    access_topic,
    session_topic,
    user_topic,
)
from hub.local import LocalHub
from hub.subscription import HubSubscription, ReaderTooSlow


@dataclass(frozen=True)
class Event:
    name: str
    coalesce_key: str | None = None
    weight: int = 0
    is_urgent: bool = False
    order: int = 0


def taken(subscription: HubSubscription) -> list[object]:
    events = []
    while (event := subscription.take()) is not None:
        events.append(event)
    return events


def test_events_come_in_the_order_in_which_they_were_published() -> None:
    """Subscribers get events on any of their topics; others get nothing."""
    hub = LocalHub()
    with hub.subscribe("a", "b") as both, hub.subscribe("a") as one, hub.subscribe("c") as none:
        for topic, name in (("a", "1"), ("b", "2"), ("a", "3")):
            hub.publish(topic, name)
        assert taken(both) == ["1", "2", "3"]
        assert taken(one) == ["1", "3"]
        assert taken(none) == []


def test_a_subscription_registers_at_once_and_ends_with_its_block() -> None:
    """Events published inside the block arrive, others do not, and no topic is left behind."""
    hub = LocalHub()
    hub.publish("a", "before")
    with hub.subscribe("a") as subscription:
        hub.publish("a", "inside")
        assert hub.readers("a") == 1
    hub.publish("a", "after")

    assert taken(subscription) == ["inside"]
    assert (hub.readers("a"), hub.watched("")) == (0, [])


def test_a_failing_block_ends_its_subscription_too() -> None:
    """An exception in the block unsubscribes too."""
    hub = LocalHub()
    with pytest.raises(ZeroDivisionError), hub.subscribe("a", "b"):
        raise ZeroDivisionError
    assert hub.watched("") == []


def test_watched_topics_are_found_by_their_prefix() -> None:
    """Each topic is listed once, however many subscribers it has."""
    hub = LocalHub()
    with hub.subscribe("x:1"), hub.subscribe("x:1", "x:2"), hub.subscribe("y:1"):
        assert sorted(hub.watched("x:")) == ["x:1", "x:2"]


def test_of_one_coalescing_key_the_newest_waits_in_the_oldest_place() -> None:
    """Events without a key are never replaced, not even by equal ones."""
    subscription = HubSubscription()
    first, other, newest = Event("1", "k"), Event("x"), Event("2", "k")
    for event in (first, other, other, newest):
        subscription.put(event)

    assert taken(subscription) == [newest, other, other]
    subscription.put(first)
    assert taken(subscription) == [first]


def test_of_one_coalescing_key_the_highest_stays() -> None:
    """Events of two processes may arrive in another order than they were published."""
    subscription = HubSubscription()
    newer, older = Event("2", "k", order=2), Event("1", "k", order=1)
    subscription.put(newer)
    subscription.put(older)

    assert taken(subscription) == [newer]
    subscription.put(older)
    assert taken(subscription) == [older]


@pytest.mark.parametrize("coalesces", [True, False])
def test_the_bound_counts_what_waits(coalesces: bool) -> None:
    """Coalesced events take one place; one event over the bound raises ReaderTooSlow."""
    subscription = HubSubscription(bound=3)
    for number in range(10 if coalesces else 3):
        subscription.put(Event(str(number), "k" if coalesces else None))
    assert len(taken(subscription)) == (1 if coalesces else 3)

    for number in range(4):
        subscription.put(Event(str(number)))
    with pytest.raises(ReaderTooSlow):
        subscription.take()
    subscription.put(Event("later"))
    with pytest.raises(ReaderTooSlow):
        subscription.take()


def test_the_weight_that_waits_is_bounded_too() -> None:
    """Taken or replaced events no longer count."""
    subscription = HubSubscription(weight_bound=10)
    for name in "abc":
        subscription.put(Event(name, "k", weight=9))
    assert [event.name for event in taken(subscription) if isinstance(event, Event)] == ["c"]
    subscription.put(Event("light", weight=10))
    assert len(taken(subscription)) == 1

    subscription.put(Event("one", weight=6))
    subscription.put(Event("two", weight=5))
    with pytest.raises(ReaderTooSlow):
        subscription.take()


def test_a_reader_with_another_way_to_catch_up_may_begin_again() -> None:
    """It learns whether it missed anything, then gets what is published from then on."""
    subscription = HubSubscription(bound=1, weight_bound=10)
    assert subscription.begin_again() is False
    subscription.put(Event("1", weight=8))
    subscription.put(Event("2"))

    assert subscription.begin_again() is True
    assert subscription.take() is None
    subscription.put(Event("3", weight=8))
    assert [event.name for event in taken(subscription) if isinstance(event, Event)] == ["3"]


def test_an_urgent_event_overtakes_and_outlives_the_others() -> None:
    """A busy reader can see it in `urgent`, and an overflow does not lose it."""
    urgent = Event("urgent", is_urgent=True)
    subscription = HubSubscription(bound=1)
    subscription.put(Event("1"))
    subscription.put(urgent)
    assert subscription.urgent == urgent
    assert subscription.take() is urgent
    assert taken(subscription) == [Event("1")]

    subscription.put(Event("2"))
    subscription.put(Event("3"))
    subscription.put(urgent)
    subscription.put(Event("another", is_urgent=True))
    assert subscription.begin_again() is True
    assert taken(subscription) == [urgent]


async def test_a_reader_waits_for_the_next_event() -> None:
    """Repeated waits work, and a cancelled wait loses nothing."""
    subscription = HubSubscription()
    for name in ("1", "2"):
        waiting = asyncio.ensure_future(subscription.get())
        asyncio.get_running_loop().call_soon(subscription.put, name)
        assert await waiting == name
    waiting = asyncio.ensure_future(subscription.get())
    asyncio.get_running_loop().call_soon(waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    subscription.put("3")
    assert await subscription.get() == "3"


async def test_a_reader_who_waits_is_told_of_an_overflow() -> None:
    """Otherwise it would wait for ever."""
    subscription = HubSubscription(bound=0)
    waiting = asyncio.ensure_future(subscription.get())
    asyncio.get_running_loop().call_soon(subscription.put, "too much")
    with pytest.raises(ReaderTooSlow):
        await waiting


async def test_publishing_never_waits_for_a_reader() -> None:
    """An idle reader costs the others nothing and holds a bounded number of events."""
    hub = LocalHub()
    with hub.subscribe("a", bound=10) as slow, hub.subscribe("a", bound=10_000) as quick:
        for number in range(5_000):
            hub.publish("a", number)
        assert len(taken(quick)) == 5_000
        with pytest.raises(ReaderTooSlow):
            slow.take()


def test_an_event_reaches_its_topics_and_the_callbacks_for_its_kind() -> None:
    """A callback that raises keeps the event from nobody else."""
    hub = LocalHub()
    acted: list[object] = []

    def fails(event: AccessRevoked) -> None:
        raise LookupError

    hub.on(AccessRevoked, fails)
    hub.on(AccessRevoked, acted.append)
    event, other = AccessRevoked("log_1"), OwnershipLost("ses_1", "usr_1")
    with hub.subscribe(access_topic("log_1")) as subscription:
        hub.emit(event)
        hub.emit(other)

        assert subscription.take() == event
        assert subscription.take() is None
    assert acted == [event]


def test_a_session_that_changes_owners_is_told_to_the_new_one_alone() -> None:
    """Its former owner may still watch the session."""
    changed = SessionChanged("ses_1", "usr_2", None, is_new_to_user=True)

    assert changed.topics == (user_topic("usr_2"),)
    assert SessionChanged("ses_1", "usr_2", None).topics == (
        session_topic("ses_1"),
        user_topic("usr_2"),
    )
