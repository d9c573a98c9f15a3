"""What is seen of a conversation in the browser, and when."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Json = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """One state of an utterance, and when it was in the browser."""

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
    """Return the value below which this part of all values lies."""
    return float(np.quantile(values, part)) if values else float("nan")
