"""Measures the processor time of a piece of work, for limits that only a blow-up exceeds."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Spent:
    """The processor time that this thread has spent, once the work is done."""

    seconds: float = float("inf")


@contextmanager
def processor_time() -> Iterator[Spent]:
    """Measure the processor time of this thread.

    The garbage collector waits meanwhile: it walks every object of the test run, which may take
    longer than the work.
    """
    spent, was_enabled = Spent(), gc.isenabled()
    gc.disable()
    began = time.thread_time()
    try:
        yield spent
        spent.seconds = time.thread_time() - began
    finally:
        if was_enabled:
            gc.enable()
