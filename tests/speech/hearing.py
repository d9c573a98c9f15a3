"""The shipped recogniser, to check what the agent's voice actually said."""

from functools import cache

import numpy as np

from agent.speech.moonshine import MoonshineDecoder
from tests.speech.sound import RATE, resampled, silence, voiced


def understood(pcm: bytes, rate: int = 24_000) -> str:
    """Return the words in 16-bit mono sound."""
    if len(pcm) < rate // 5:
        return ""
    samples = resampled(np.frombuffer(pcm, "<i2"), rate)
    began, ended = voiced(samples)
    # Pad with silence, like the agent's segmenter: the model invents words at a hard edge.
    edge = silence(0.2)
    whole = np.concatenate([edge, samples[max(0, began - RATE // 10) : ended], edge])
    return _decoder().decode(whole.astype(np.float32) / np.float32(32_768))


@cache
def _decoder() -> MoonshineDecoder:
    return MoonshineDecoder()
