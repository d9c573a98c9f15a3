"""Loads recognisers and voices by name, on demand.

A name is in a table below or is a `package.module:function`. The function returns a livekit-agents
`stt.STT` (streaming, with interim results) or `tts.TTS`. It may take seconds, must warm up the
models, and must not use the network.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from livekit.agents import stt, tts

RECOGNISERS: Final[dict[str, str]] = {
    "moonshine": "agent.speech.moonshine:load_recogniser",
}
VOICES: Final[dict[str, str]] = {
    "hibari": "agent.speech.hibari_voice:load_voice",
}


class SpeechMissing(Exception):
    """A speech package can't be used on this system; the message says which one and why."""


def load_recogniser(name: str) -> stt.STT[Any]:
    """Load a recogniser and its models.

    Raises:
        SpeechMissing: when the recogniser's package can't be used on this system.
        ValueError: when there is no such name, or it loads something else.
    """
    loaded = _load(name, RECOGNISERS, "recogniser")
    if not isinstance(loaded, stt.STT):
        raise ValueError(f"{name} did not load a livekit-agents STT but {type(loaded).__name__}")
    return loaded


def load_voice(name: str) -> tts.TTS[Any]:
    """Load a voice and its models.

    Raises:
        SpeechMissing: when the voice's package can't be used on this system.
        ValueError: when there is no such name, or it loads something else.
    """
    loaded = _load(name, VOICES, "voice")
    if not isinstance(loaded, tts.TTS):
        raise ValueError(f"{name} did not load a livekit-agents TTS but {type(loaded).__name__}")
    return loaded


def _load(name: str, table: dict[str, str], what: str) -> object:
    target = table.get(name, name)
    module, colon, function = target.partition(":")
    if not colon:
        known = ", ".join(sorted(table))
        raise ValueError(f"there is no {what} called {name}; known are {known}")
    try:
        load: Callable[[], object] = getattr(import_module(module), function)
        return load()
    # A package without a wheel for this system is missing. A wheel for a newer C library raises
    # OSError when it loads its shared object.
    except (ImportError, OSError) as error:
        raise SpeechMissing(f"the {what} {name} can't be used here: {error}") from error
