"""What `voxql serve` shows while it starts."""

import time


class Steps:
    """Prints each part that is done, with the time that it took.

    Args:
        began: `time.perf_counter()` of the moment that the command began.
    """

    def __init__(self, began: float) -> None:
        self.began = self._last = began

    def done(self, part: str, what: str, *, since: float | None = None) -> None:
        """Print one line; its time counts from the line before, unless `since` is given."""
        now = time.perf_counter()
        begin = self._last if since is None else since
        print(f"  {part:<9} {what:<56} {now - begin:6.2f} s", flush=True)
        self._last = now
