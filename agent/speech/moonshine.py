"""Speech recognition by moonshine-voice, whose package includes the model (English, MIT)."""

import os
from typing import Final

from agent.speech.decoders import Decoders, Sound
from agent.speech.recogniser import LocalRecogniser

_MODEL: Final = "tiny-en"
_MOST_DECODERS: Final = 4
"""Each holds 45 MB of weights; a machine with more cores has better uses for them."""
_OPTIONS: Final = {
    # Otherwise each result contains a copy of the audio, as a Python list.
    "return_audio_data": "false",
    # The segmenter has already cut the audio; a second detector only loses short words ("yes").
    "vad_threshold": "0",
}


class MoonshineDecoder:
    """One loaded model, decoding on the thread that calls it."""

    def __init__(self) -> None:
        # The library reads this when it creates its first session. With several threads, each
        # decoder would use the cores inefficiently; see `Decoders`.
        os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")
        from moonshine_voice import ModelArch, Transcriber, get_model_path

        self._transcriber = Transcriber(
            str(get_model_path(_MODEL)), ModelArch.TINY, options=_OPTIONS
        )

    def decode(self, sound: Sound) -> str:
        """Return the words; see `Decoder`."""
        transcript = self._transcriber.transcribe_without_streaming(sound.tolist(), 16_000)
        return " ".join(line.text.strip() for line in transcript.lines if line.text.strip())


def load_recogniser() -> LocalRecogniser:
    """Load the models, with one decoder for each core, and warm them up."""
    import numpy as np

    # The detector's model is part of livekit-agents and is loaded with this module.
    from livekit.local_inference import VAD

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    decoders = Decoders(MoonshineDecoder, min(cores or 1, _MOST_DECODERS))
    for decoder in decoders.all:
        # As long as a long sentence, to grow the engine's memory to its usual size.
        decoder.decode(np.zeros(8 * 16_000, np.float32))
    return LocalRecogniser(decoders, VAD, model=f"moonshine-{_MODEL}", language="en")
