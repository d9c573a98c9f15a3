"""How often something may be tried, and the memory this takes."""

from datetime import timedelta

import pytest

from resolvers.accounts import rate_limits
from resolvers.accounts.rate_limits import LocalCounts, Rate, RateLimits
from resolvers.refusals import RateLimited
from tests.resolvers.people import Clock

THREE = Rate(3, timedelta(seconds=90))


def _tries(limits: LocalCounts, who: str = "ada") -> int:
    """Return the number of tries before one is refused."""
    for number in range(100):
        try:
            limits.take(THREE, who)
        except RateLimited:
            return number
    raise AssertionError("never refused")


def test_the_window_moves(clock: Clock) -> None:
    """Each try expires on its own, not all at once."""
    limits = LocalCounts(clock)
    for _ in range(3):
        limits.take(THREE, "ada")
        clock.pass_by(seconds=30)
    assert _tries(limits) == 1
    clock.pass_by(seconds=29)
    assert _tries(limits) == 0
    clock.pass_by(seconds=1)
    assert _tries(limits) == 1
    clock.pass_by(seconds=90)
    assert _tries(limits) == 3


def test_a_refused_try_does_not_count(clock: Clock) -> None:
    """Constant retries do not block a user for ever."""
    limits = LocalCounts(clock)
    for _ in range(3):
        limits.take(THREE, "ada")
    for _ in range(90):
        clock.pass_by(seconds=1)
        refused = _tries(limits) == 0
    assert not refused


def test_everybody_and_everything_is_counted_apart(clock: Clock) -> None:
    """Users are counted separately, and so are rates."""
    limits = LocalCounts(clock)
    assert _tries(limits, "ada") == 3
    assert _tries(limits, "bob") == 3
    limits.take(Rate(1, timedelta(seconds=1)), "ada")
    limits.take(Rate(THREE.count, THREE.per), "ada")


def test_what_was_no_guess_is_forgotten(clock: Clock) -> None:
    """After forget() all three tries are available again."""
    limits = LocalCounts(clock)
    assert _tries(limits) == 3
    limits.forget(THREE, "ada")
    limits.forget(THREE, "nobody")
    assert _tries(limits) == 3


@pytest.mark.parametrize(
    ("passed", "said"),
    [(0, "in 2 minutes"), (30, "in 1 minute."), (31, "in 59 seconds"), (89, "in 1 second.")],
)
def test_the_message_says_when_to_come_back(clock: Clock, passed: float, said: str) -> None:
    """The time is in words and rounded up, so that a retry at that time succeeds."""
    limits = LocalCounts(clock)
    assert _tries(limits) == 3
    clock.pass_by(seconds=passed)
    with pytest.raises(RateLimited, match=said):
        limits.take(THREE, "ada")


def test_made_up_names_do_not_fill_the_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least recently used name is forgotten first."""
    monkeypatch.setattr(rate_limits, "KEYS", 10)
    limits = LocalCounts(clock)
    for number in range(1000):
        limits.take(THREE, f"name {number}")
    assert len(limits._tries) == 10


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("a.socket", "another.socket", False),
    ],
)
async def test_an_address_is_counted_with_all_that_one_place_has(
    clock: Clock, one: str, other: str, is_same: bool
) -> None:
    """IPv6 addresses are counted by /64, because one client can use all of them."""
    limits = RateLimits(clock)
    for _ in range(3):
        await limits.take_from(THREE, one)

    refused = False
    try:
        await limits.take_from(THREE, other)
    except RateLimited:
        refused = True

    assert refused is is_same


async def test_what_has_no_address_is_not_counted(clock: Clock) -> None:
    """Requests without a network, such as the operator's own command, have no address."""
    limits = RateLimits(clock)
    for _ in range(10):
        await limits.take_from(THREE, None)
