"""The progress that `voxql serve` shows while it starts."""

import time


class Steps:
    """Prints each completed step, with the time that it took.

    Args:
        began: `time.perf_counter()` at the start of the command.
    """

    def __init__(self, began: float) -> None:
        self.began = self._last = began

    def done(self, part: str, what: str, *, since: float | None = None) -> None:
        """Print one line; its time counts from the previous line, unless `since` is given."""
        now = time.perf_counter()
        begin = self._last if since is None else since
        print(f"  {part:<9} {what:<56} {now - begin:6.2f} s", flush=True)
        self._last = now
