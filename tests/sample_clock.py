"""An event loop whose time advances only while all tasks wait: minutes of speech take seconds.

Sound, pauses and time-outs take no real time. Computing takes no time on this clock: it stands
still while a thread decodes speech. So a test knows exactly when something happened, on any
machine, and takes only as long as the computing does.

Every participant must live on this loop or be called through its executors. Sockets between two
ends on the loop work: loopback delivers before the loop polls them again. Another process does not
work: it keeps real time.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final, TypeVar, TypeVarTuple

import pytest

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

LONG_S: Final = 0.1
_CLOCKS: Final = ("time", "monotonic", "perf_counter")
"""Functions of `time` that follow the loop's time during a test."""


class SampleClock(asyncio.SelectorEventLoop):
    """An event loop with simulated time in seconds, which starts at the real time."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self._working: set[asyncio.Future[Any]] = set()
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the simulated time."""
        return self.now

    @property
    def is_working(self) -> bool:
        """Whether a coroutine waits for a thread's computation."""
        return bool(self._working)

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> asyncio.Future[Result]:
        """Run the function in a thread; the clock stands still meanwhile."""
        future: asyncio.Future[Result] = super().run_in_executor(executor, func, *args)
        self._working.add(future)
        future.add_done_callback(self._working.discard)
        return future


class _Selector(selectors.DefaultSelector):
    """Advances the clock to the next timer instead of waiting for it."""

    def __init__(self, clock: SampleClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; if nothing is, advance the clock to the next timer."""
        ready = super().select(0)
        if not ready and timeout and timeout > LONG_S:
            # A busy kernel may deliver data to a socket slightly late.
            ready = super().select(0.001)
        if ready or timeout == 0:
            return ready
        if timeout is None or self._clock.is_working:
            # Only a thread can end this wait.
            return super().select(None)
        self._clock.now += timeout
        return []


@contextmanager
def clocks_of(loop: SampleClock) -> Iterator[None]:
    """Have the clocks of Python's `time` follow this loop's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _CLOCKS:
            since = getattr(time, name)() - loop.time()
            patch.setattr(time, name, lambda since=since: since + loop.time())
        yield


def loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the loop of a test: `SampleClock` if it is marked `sample_clock`."""
    if item.get_closest_marker("sample_clock") is not None:
        return {"sample clock": SampleClock}
    return {"real time": asyncio.new_event_loop}
