"""The Chromium that a whole test run shares; each person has a separate context."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

import numpy as np

from tests.programs.said import Program
from tests.programs.shared import Shared, State, started
from tests.speech.sound import RATE, write_wav

CHROMIUM: Final = "/usr/bin/chromium"
WITHOUT_WINDOWS: Final = shutil.which("chromium-headless-shell") or CHROMIUM
"""Chromium's headless shell, if installed: it shows a page in half the time."""
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ALLOWED: Final = "--use-fake-ui-for-media-stream"
SOUNDS_AT_ONCE: Final = "--autoplay-policy=no-user-gesture-required"
"""As for a page that captures a real microphone."""
START_WITHIN_S: Final = 60.0


def hearing(folder: Path, sound: np.ndarray[tuple[int], np.dtype[np.int16]]) -> tuple[str, str]:
    """Return the flags that make Chromium's fake microphone play this once, then silence."""
    wav = write_wav(folder / "microphone.wav", sound)
    return (
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={wav}%noloop",
    )


def shared_chromium(shared: Shared) -> str:
    """Return the address of the run's shared Chromium; the first caller starts it.

    Its microphone is silent: a person who talks needs `speaks_on_demand`.
    """

    def start(place: Path) -> State:
        config = place / "config.json"
        silent = hearing(place, np.zeros(RATE, np.int16))
        config.write_text(
            json.dumps(
                {
                    "executablePath": WITHOUT_WINDOWS,
                    "host": "127.0.0.1",
                    "args": [*FLAGS, ALLOWED, SOUNDS_AT_ONCE, *silent],
                }
            )
        )
        browser = Program("chromium")
        launch = ("-m", "playwright", "launch-server", "--browser", "chromium")
        command = shared.guarded(sys.executable, *launch, "--config", str(config))
        # Keep the profile in the run's folder: Chromium is killed at the end.
        environment = {**os.environ, "TMPDIR": str(place)}
        process = started(browser, command, place / "log", environment)

        def address() -> str | None:
            return next((line for line in browser.lines if line.startswith("ws://")), None)

        browser.wait_until(address, START_WITHIN_S)
        found = address()
        assert found is not None, "\n".join(browser.lines)
        return {"pid": process.pid, "address": found}

    return str(shared.once("chromium", start)["address"])
