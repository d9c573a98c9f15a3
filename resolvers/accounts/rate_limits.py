"""Limits how often costly and guessable things are tried.

Each process counts in memory, exactly. Several processes also count together, in Redis
(`hub.counts`); while that can't be used, each process judges by its own count. In memory, the
package `limits` is not used: it keeps an entry for every key it ever saw, so made-up e-mail
addresses would fill the memory, and it only uses the machine's clock.
"""

import math
from collections import deque
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol

from resolvers.clock import Clock
from resolvers.refusals import RateLimited

KEYS: Final = 50_000
"""Maximum e-mails and addresses remembered; beyond that, the least recently seen one is dropped."""


# Compared by identity: two rates with the same numbers count separately.
@dataclass(frozen=True, slots=True, eq=False)
class Rate:
    """At most `count` times in any period of this length (a sliding window)."""

    count: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Rates:
    """What is limited, and how much."""

    sign_in_per_email_and_address: Rate = Rate(10, timedelta(minutes=5))
    sign_in_per_browser: Rate = Rate(10, timedelta(minutes=5))
    """For a browser that has signed in to the account before; nobody else can use it up."""
    sign_in_per_email: Rate = Rate(100, timedelta(minutes=5))
    """For everywhere else together; an attacker may have many addresses."""
    sign_in_per_address: Rate = Rate(100, timedelta(minutes=5))
    sign_up_per_address: Rate = Rate(60, timedelta(minutes=10))
    guest_per_address: Rate = Rate(120, timedelta(minutes=10))


class LocalCounts:
    """Counts the attempts in this process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: dict[tuple[Rate, str], deque[datetime]] = {}

    def take(self, rate: Rate, who: str) -> None:
        """Count one attempt.

        Raises:
            RateLimited: There were too many already; this one does not count.
        """
        now = self._clock()
        # Removed and added again, so that the keys are ordered by their last attempt.
        tries = self._tries.pop((rate, who), deque())
        self._tries[rate, who] = tries
        while tries and tries[0] <= now - rate.per:
            tries.popleft()
        if len(tries) >= rate.count:
            raise _too_many(tries[0] + rate.per - now)
        tries.append(now)
        if len(self._tries) > KEYS:
            del self._tries[next(iter(self._tries))]

    def take_back(self, rate: Rate, who: str) -> None:
        """Uncount the newest attempt; earlier ones stay."""
        if tries := self._tries.get((rate, who)):
            tries.pop()

    def forget(self, rate: Rate, who: str) -> None:
        """Uncount every attempt."""
        self._tries.pop((rate, who), None)


class SharedCounts(Protocol):
    """Counts the attempts in all processes. Never raises: what can't be counted is allowed."""

    @property
    def is_reached(self) -> bool:
        """Whether attempts are counted now."""

    async def add(self, key: str, most: int, per: timedelta) -> timedelta | None:
        """Count one; if there are `most` already, don't, and return how long to wait."""

    async def take_back(self, key: str, per: timedelta) -> None:
        """Uncount one."""

    async def forget(self, key: str) -> None:
        """Uncount all."""

    async def run(self) -> None:
        """Watch whether attempts can be counted, until cancelled."""


class RateLimits:
    """Counts attempts in this process and, if there are several, in all of them together.

    Belongs to one event loop.

    Args:
        clock: Returns the time.
        rates: The limits.
        shared: The counts that several processes share.
    """

    def __init__(
        self, clock: Clock, rates: Rates | None = None, *, shared: SharedCounts | None = None
    ) -> None:
        self.rates = rates or Rates()
        self.shared = shared
        self._here = LocalCounts(clock)

    @property
    def kind(self) -> str:
        """Who counts together: `local` for this process, `shared` for all."""
        return "shared" if self.shared is not None and self.shared.is_reached else "local"

    async def take(self, rate: Rate, who: str) -> None:
        """Count one attempt.

        Raises:
            RateLimited: There were too many already; this one does not count.
        """
        # First here, which costs nothing and keeps floods away from Redis.
        self._here.take(rate, who)
        if self.shared is None:
            return
        wait = await self.shared.add(self._key(rate, who), rate.count, rate.per)
        if wait is not None:
            self._here.take_back(rate, who)
            raise _too_many(wait)

    async def take_from(self, rate: Rate, address: str | None, who: str = "") -> None:
        """Count one attempt from a network address; without one, only if `who` is given.

        Raises:
            RateLimited: See `take`.
        """
        if address is not None or who:
            await self.take(rate, _from(address, who))

    async def take_back(self, rate: Rate, who: str) -> None:
        """Uncount the newest attempt, which was no guess; earlier ones stay."""
        self._here.take_back(rate, who)
        if self.shared is not None:
            await self.shared.take_back(self._key(rate, who), rate.per)

    async def forget(self, rate: Rate, who: str) -> None:
        """Uncount every attempt: they were no guesses."""
        self._here.forget(rate, who)
        if self.shared is not None:
            await self.shared.forget(self._key(rate, who))

    async def forget_from(self, rate: Rate, address: str | None, who: str) -> None:
        """Uncount somebody's attempts from this address."""
        await self.forget(rate, _from(address, who))

    def _key(self, rate: Rate, who: str) -> str:
        """Name the rate as all processes do."""
        names = [field.name for field in fields(self.rates)]
        [name] = [name for name in names if getattr(self.rates, name) is rate]
        return f"{name} {who}"


SMALL: Final = 500
"""Points of every operation that are free: about half a millisecond of work."""


class Budgets:
    """Work budgets: a token bucket per client, which a minute fills.

    They are not shared by processes: each protects the processor of its own, and asking Redis would
    cost more than most operations do.

    Args:
        clock: Returns the time.
        per_minute: Points added per minute, and the most a bucket holds.
    """

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._left: dict[str, tuple[float, datetime]] = {}
        """The points each client had left, and when."""

    def spend(self, points: int, who: str) -> None:
        """Charge an operation of this many points to somebody's budget.

        An operation that costs more than a budget can hold takes all of a full one.

        Raises:
            RateLimited: Too few points are left; nothing is taken.
        """
        points = min(max(0, points - SMALL), self._per_minute)
        if not points:
            return
        now = self._clock()
        left, since = self._left.pop(who, (self._per_minute, now))
        brought = (now - since).total_seconds() / 60 * self._per_minute
        left = min(float(self._per_minute), left + max(0.0, brought))
        # Added again at the end, so that the least recently seen come first.
        self._left[who] = (left - points if points <= left else left, now)
        if len(self._left) > KEYS:
            del self._left[next(iter(self._left))]
        if points > left:
            missing = timedelta(minutes=(points - left) / self._per_minute)
            raise _refused("Too many requests at once. Try again", missing)

    def spend_from(self, points: int, address: str | None) -> None:
        """Charge somebody who is not signed in, by network address; see `spend`."""
        if address is not None:
            self.spend(points, place_of(address))


def _from(address: str | None, who: str) -> str:
    place = "" if address is None else place_of(address)
    return f"{place} {who}" if who else place


def place_of(address: str) -> str:
    """Return the least that one subscriber has: an IPv4 address, or an IPv6 /64 (RFC 6177)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    # Dual-stack sockets show IPv4 addresses in this form.
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))


def _too_many(wait: timedelta) -> RateLimited:
    return _refused("Too many attempts. Try again", wait)


def _refused(what: str, wait: timedelta) -> RateLimited:
    seconds = max(1, math.ceil(wait.total_seconds()))
    if seconds < 60:
        return RateLimited(f"{what} in {seconds} second{'s' * (seconds != 1)}.", seconds)
    minutes = math.ceil(seconds / 60)
    return RateLimited(f"{what} in {minutes} minute{'s' * (minutes != 1)}.", seconds)
