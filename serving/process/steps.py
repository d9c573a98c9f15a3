"""The progress that `voxql serve` shows while it starts."""

import time


class Steps:
    """Prints each completed step, with the time that it took.

    Args:
        began: `time.perf_counter()` at the start of the command.
        is_silent: Print nothing: one of several processes starts.
    """

    def __init__(self, began: float, *, is_silent: bool = False) -> None:
        self.began = self._last = began
        self._is_silent = is_silent

    def done(self, part: str, what: str, *, since: float | None = None) -> None:
        """Print one line; its time counts from the previous line, unless `since` is given."""
        if self._is_silent:
            return
        now = time.perf_counter()
        begin = self._last if since is None else since
        print(f"  {part:<9} {what:<56} {now - begin:6.2f} s", flush=True)
        self._last = now

    def say(self, part: str, what: str) -> None:
        """Print one line without a time."""
        if not self._is_silent:
            print(f"  {part:<9} {what}", flush=True)
