"""The clock of the use cases; tests pass one that they advance."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time, aware and in UTC, as all times are."""
    return datetime.now(UTC)
