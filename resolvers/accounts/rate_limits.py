"""How often the costly and the guessable may be tried, counted in memory, one process each.

The package `limits` would do it, but it keeps an entry for every key that was ever seen, so that
made-up e-mail addresses fill the memory, and its clock is the machine's.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from resolvers.refusals import RateLimited

KEYS: Final = 50_000
"""So many e-mails and addresses are remembered; past it the one unheard of for longest goes."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` times in any stretch of time of this length (a moving window)."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Rates:
    """What is limited, and to how much."""

    sign_in_per_email_and_address: Rate = Rate(10, timedelta(minutes=5))
    sign_in_per_browser: Rate = Rate(10, timedelta(minutes=5))
    """Of a browser in which the account was signed in to before: nobody else can use it up."""
    sign_in_per_email: Rate = Rate(100, timedelta(minutes=5))
    """From everywhere else together: an attacker may have many addresses."""
    sign_in_per_address: Rate = Rate(100, timedelta(minutes=5))
    sign_up_per_address: Rate = Rate(60, timedelta(minutes=10))
    guest_per_address: Rate = Rate(120, timedelta(minutes=10))


class RateLimits:
    """Counts tries; belongs to one event loop."""

    def __init__(self, clock: Callable[[], datetime], rates: Rates | None = None) -> None:
        self.rates = rates or Rates()
        self._clock = clock
        self._tries: dict[tuple[Rate, str], deque[datetime]] = {}

    def take(self, rate: Rate, who: str) -> None:
        """Count one try.

        Raises:
            RateLimited: There were too many already; this one does not count.
        """
        now = self._clock()
        # Taken out and put back, so that the keys stand in the order of their last try.
        tries = self._tries.pop((rate, who), deque())
        self._tries[rate, who] = tries
        while tries and tries[0] <= now - rate.per:
            tries.popleft()
        if len(tries) >= rate.count:
            raise _refused("Too many attempts. Try again", tries[0] + rate.per - now)
        tries.append(now)
        if len(self._tries) > KEYS:
            del self._tries[next(iter(self._tries))]

    def take_from(self, rate: Rate, address: str | None, who: str = "") -> None:
        """Count one try from a network address; without one only somebody's can be counted.

        Raises:
            RateLimited: see `take`.
        """
        if address is not None or who:
            self.take(rate, _from(address, who))

    def take_back(self, rate: Rate, who: str) -> None:
        """Take back the newest try: it turned out to be no guessing; those before it stay."""
        if tries := self._tries.get((rate, who)):
            tries.pop()

    def forget(self, rate: Rate, who: str) -> None:
        """Take back every try: they turned out to be no guessing."""
        self._tries.pop((rate, who), None)

    def forget_from(self, rate: Rate, address: str | None, who: str) -> None:
        """Take back what was counted of somebody from this address."""
        self.forget(rate, _from(address, who))


SMALL: Final = 500
"""Points of an operation that costs nobody anything of their budget: half a millisecond or so."""


class Budgets:
    """How much work everybody may ask for: a token bucket each, which a minute fills.

    Args:
        clock: tells the time.
        per_minute: points that a minute brings, and the most that can be saved up.
    """

    def __init__(self, clock: Callable[[], datetime], per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._left: dict[str, tuple[float, datetime]] = {}
        """Points that somebody had left, and when."""

    def spend(self, points: int, who: str) -> None:
        """Take what an operation of so many points costs, of somebody's budget.

        What costs more than a budget ever holds takes all of a full one.

        Raises:
            RateLimited: there is not so much left; nothing is taken.
        """
        points = min(max(0, points - SMALL), self._per_minute)
        if not points:
            return
        now = self._clock()
        left, since = self._left.pop(who, (self._per_minute, now))
        brought = (now - since).total_seconds() / 60 * self._per_minute
        left = min(float(self._per_minute), left + max(0.0, brought))
        # Put back last, so that those stand first who were unheard of for longest.
        self._left[who] = (left - points if points <= left else left, now)
        if len(self._left) > KEYS:
            del self._left[next(iter(self._left))]
        if points > left:
            missing = timedelta(minutes=(points - left) / self._per_minute)
            raise _refused("Too many requests at once. Try again", missing)

    def spend_from(self, points: int, address: str | None) -> None:
        """Do the same for somebody who has not signed in, by network address; see `spend`."""
        if address is not None:
            self.spend(points, place_of(address))


def _from(address: str | None, who: str) -> str:
    place = "" if address is None else place_of(address)
    return f"{place} {who}" if who else place


def place_of(address: str) -> str:
    """Return what one subscriber has at least: an IPv4 address, or a /64 of IPv6 (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    # What listens for both kinds sees IPv4 in this form.
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))


def _refused(what: str, wait: timedelta) -> RateLimited:
    seconds = max(1, math.ceil(wait.total_seconds()))
    if seconds < 60:
        return RateLimited(f"{what} in {seconds} second{'s' * (seconds != 1)}.", seconds)
    minutes = math.ceil(seconds / 60)
    return RateLimited(f"{what} in {minutes} minute{'s' * (minutes != 1)}.", seconds)
