"""The shipped recogniser, to check what the agent's voice really said."""

from functools import cache
from typing import Any

import numpy as np

from tests.e2e.sound import resampled


def understood(pcm: bytes, rate: int = 24_000) -> str:
    """Return the words in 16-bit mono sound."""
    if len(pcm) < rate // 5:
        return ""
    samples = resampled(np.frombuffer(pcm, "<i2"), rate)
    transcript = _recogniser().transcribe_without_streaming(
        (samples / np.float32(32_768)).tolist(), 16_000
    )
    return " ".join(line.text.strip() for line in transcript.lines)


@cache
def _recogniser() -> Any:
    from moonshine_voice import ModelArch, Transcriber, get_model_path

    options = {"return_audio_data": "false"}
    return Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY, options=options)
