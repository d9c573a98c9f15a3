"""The log has one object per line and never people's words, names or tokens."""

import json
import subprocess
import sys

import pytest

from tests.programs.server_process import ROOT

MARK = "Rumpelstiltskin"

PROGRAM = """
import asyncio, logging, sqlite3, structlog
from serving.process.logs import log_to_stderr
log_to_stderr("debug", {form!r})

async def fails():
    raise ValueError("{mark}")

async def forgotten():
    asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

def told(error):
    try:
        raise error
    except Exception:
        structlog.get_logger("ours").exception("it_failed", session="ses_1")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")

told(KeyError("{mark}"))
try:
    try:
        raise ValueError("{mark}")
    except ValueError as error:
        raise RuntimeError("{mark}") from error
except RuntimeError as error:
    told(error)
told(sqlite3.OperationalError("database or disk is full"))
told(FileNotFoundError(2, "No such file", "/home/{mark}"))
asyncio.run(forgotten())
import gc; gc.collect()
"""


def logged(form: str) -> str:
    """Return the log of a program that fails in every way while it handles somebody's words."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form, mark=MARK)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stderr


@pytest.mark.parametrize("form", ["json", "text", "auto"])
def test_the_words_of_exceptions_are_not_logged(form: str) -> None:
    """The log has exception types and locations, and the system's messages on files and tables."""
    said = logged(form)

    assert MARK not in said
    for expected in (
        "it_failed",
        "Exception in ASGI application",
        "builtins.KeyError",
        "builtins.RuntimeError",
        "which came from:",
        "sqlite3.OperationalError: database or disk is full",
        "builtins.FileNotFoundError: No such file or directory",
        "Task exception was never retrieved",
        "in told",
    ):
        assert expected in said, expected


@pytest.mark.parametrize("form", ["json", "auto"])
def test_away_from_a_terminal_each_line_is_an_object(form: str) -> None:
    """Each has event, level, logger and time, including those of uvicorn and asyncio."""
    lines = [json.loads(line) for line in logged(form).splitlines()]

    assert {line["logger"] for line in lines} >= {"ours", "uvicorn.error", "asyncio"}
    for line in lines:
        assert line.keys() >= {"event", "level", "logger", "timestamp"}
    assert lines[0]["session"] == "ses_1"
