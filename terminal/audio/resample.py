"""Changes the sample rate of audio without aliasing."""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import mul
from typing import Final

_ZEROS: Final = 16
"""Zero crossings of the sinc on either side, which attenuate aliases by 70 dB."""
_ROLL_OFF: Final = 0.92
"""Cutoff of the low-pass filter, as a fraction of the lower Nyquist frequency."""
_BETA: Final = 8.0
"""Shape of the Kaiser window."""


class Resampler:
    """Converts a stream of samples to another sample rate with a windowed sinc.

    For each output sample, the filter is evaluated at its exact position between the input samples.
    There are only `rate_out / gcd` such positions, so the filter is computed once for each (the
    polyphase form; J. O. Smith, "Digital Audio Resampling").

    Args:
        rate_in: input samples a second.
        rate_out: output samples a second.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        common = math.gcd(rate_in, rate_out)
        self._up, self._down = rate_out // common, rate_in // common
        self._cutoff = min(1.0, rate_out / rate_in) * _ROLL_OFF
        self._reach = math.ceil(_ZEROS / self._cutoff)
        # Silence before the start, so that the first sample has neighbours to its left.
        self._kept: list[float] = [0.0] * (self._reach - 1)
        self._step = 0

    def push(self, samples: Iterable[float]) -> list[float]:
        """Take input samples; return the output samples that are ready."""
        if self._up == self._down:
            return list(samples)
        self._kept.extend(samples)
        return self._convert()

    def flush(self) -> list[float]:
        """Return the output samples that were waiting for more input."""
        return [] if self._up == self._down else self.push([0.0] * self._reach)

    def _convert(self) -> list[float]:
        made: list[float] = []
        kept, reach = self._kept, self._reach
        width = 2 * reach
        place, phase = divmod(self._step, self._up)
        whole, part = divmod(self._down, self._up)
        while place + width <= len(kept):
            filter_ = _taps(phase, self._up, self._cutoff, reach)
            made.append(sum(map(mul, filter_, kept[place : place + width])))
            place, phase = place + whole, phase + part
            if phase >= self._up:
                place, phase = place + 1, phase - self._up
        del kept[:place]
        self._step = phase
        return made


@lru_cache(maxsize=8_192)
def _taps(phase: int, phases: int, cutoff: float, reach: int) -> Sequence[float]:
    """Return the filter for a sample that lies phase/phases after the middle of its window."""
    offset = phase / phases
    taps = [_tap(index - reach - offset, cutoff, reach) for index in range(1, 2 * reach + 1)]
    total = sum(taps)
    return [tap / total for tap in taps]


def _tap(distance: float, cutoff: float, reach: int) -> float:
    ratio = distance / reach
    if abs(ratio) >= 1:
        return 0.0
    angle = math.pi * cutoff * distance
    sinc = math.sin(angle) / angle if angle else 1.0
    return cutoff * sinc * _bessel(_BETA * math.sqrt(1 - ratio * ratio)) / _bessel(_BETA)


@lru_cache(maxsize=65_536)
def _bessel(x: float) -> float:
    """Return the modified Bessel function of order 0, by its power series."""
    term = total = 1.0
    for k in range(1, 40):
        term *= (x / (2 * k)) ** 2
        total += term
    return total
