"""What the browser receives of a conversation, and when."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One state of an utterance, and when the browser had it."""

    at: float
    utterance: Json

    @property
    def is_final(self) -> bool:
        return bool(self.utterance["isFinal"])

    @property
    def role(self) -> str:
        return str(self.utterance["role"])

    @property
    def text(self) -> str:
        return str(self.utterance["text"])

    @property
    def key(self) -> str:
        return str(self.utterance["key"])


def joined(finals: list[Seen]) -> str:
    """Return several finals as one text."""
    return " ".join(seen.text for seen in finals)


def quantile(values: list[float], part: float) -> float:
    """Return this quantile of the values."""
    return float(np.quantile(values, part)) if values else float("nan")
