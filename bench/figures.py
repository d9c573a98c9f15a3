"""Measured figures as data: medians of rounds, their spread, and their reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """The limit that a figure should stay under."""

    below: float
    of_ratio: bool = False
    """Whether it limits the ratio to the reference, not the figure itself."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity, with one value per round."""

    part: str
    name: str
    unit: str
    values: Sequence[float]
    reference_name: str = ""
    reference: Sequence[float] = ()
    """The reference's value in the same rounds; empty without a reference."""
    aim: Aim | None = None

    @property
    def ratios(self) -> list[float]:
        """Our value divided by the reference's, per round: the machine's load cancels out."""
        return [
            ours / theirs
            for ours, theirs in zip(self.values, self.reference, strict=False)
            if theirs
        ]

    @property
    def is_met(self) -> bool | None:
        """Whether the median is under the aim; None without one."""
        if self.aim is None:
            return None
        measured = self.ratios if self.aim.of_ratio else self.values
        return bool(measured) and median(measured) < self.aim.below

    def as_json(self) -> dict[str, Any]:
        """Return everything, the rounds included."""
        return {
            "part": self.part,
            "name": self.name,
            "unit": self.unit,
            **_summary(self.values),
            "rounds": list(self.values),
            "reference": {"name": self.reference_name, **_summary(self.reference)}
            if self.reference
            else None,
            "ratio": _summary(self.ratios) if self.ratios else None,
            "aim": None
            if self.aim is None
            else {
                "of": "ratio" if self.aim.of_ratio else "value",
                "below": self.aim.below,
                "is_met": self.is_met,
            },
        }


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "low": min(values), "high": max(values)}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share (0 to 1) of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
