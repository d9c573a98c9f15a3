"""Where speech packages are plugged in: recognisers and voices by name, loaded when asked for.

A name is one of the table below or `package.module:function`; the function returns a livekit-agents
`stt.STT` (streaming, with interim results) or `tts.TTS`. Loading may take seconds and must leave
the models warm; it must not use the network.
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
    """The package behind a name can't be used here; the text says which, and why."""


def load_recogniser(name: str) -> stt.STT[Any]:
    """Load a recogniser and its models.

    Raises:
        SpeechMissing: see there.
        ValueError: there is no such name.
    """
    loaded = _load(name, RECOGNISERS, "recogniser")
    if not isinstance(loaded, stt.STT):
        raise ValueError(f"{name} did not load a livekit-agents STT but {type(loaded).__name__}")
    return loaded


def load_voice(name: str) -> tts.TTS[Any]:
    """Load a voice and its models.

    Raises:
        SpeechMissing: see there.
        ValueError: there is no such name.
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
    # A package without a wheel for this system is missing; one with a wheel for a newer C library
    # fails when it loads its shared object, with an OSError.
    except (ImportError, OSError) as error:
        raise SpeechMissing(f"the {what} {name} can't be used here: {error}") from error
