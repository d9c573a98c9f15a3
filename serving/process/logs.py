"""One log, on standard error, for structlog and the standard library.

What people say, their names and their tokens stay out of it. No code here logs them, but an
exception's message may quote the data it was raised for, so only the exception's type and stack
frames are logged.
"""

import logging
import os
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from typing import Literal

import structlog

Format = Literal["auto", "json", "text"]


def log_to_stderr(level: str, form: Format = "auto") -> None:
    """Send every log line of this process to standard error, one line each.

    Args:
        level: The lowest level that is logged: debug, info, warning or error.
        form: `json` (an object per line), `text` (for people), `auto` (text on a terminal only).
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_representations],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(_kinds_and_places),
                _renderer(form),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # At info level, uvicorn logs what `voxql serve` prints itself.
    logging.getLogger("uvicorn").setLevel(max(root.level, logging.WARNING))
    # At lower levels these log whole frames, with what people say and their tokens.
    for name in ("websockets", "httpx", "httpcore", "aiosqlite", "tortoise"):
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))


def _renderer(form: Format) -> structlog.typing.Processor:
    is_terminal = sys.stderr.isatty()
    if form == "json" or (form == "auto" and not is_terminal):
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=is_terminal, pad_event_to=0)


def _without_representations(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep the first line of asyncio's messages; further lines show tasks with their errors."""
    if event.get("logger") == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _kinds_and_places(exc_info: structlog.typing.ExcInfo) -> str:
    return "\n".join(_lines(exc_info[1]))


def _lines(error: BaseException) -> Iterator[str]:
    seen: BaseException | None = error
    while seen is not None:
        yield from (line.rstrip() for line in traceback.format_tb(seen.__traceback__))
        kind = type(seen)
        words = _harmless_words(seen)
        yield f"{kind.__module__}.{kind.__qualname__}" + (f": {words}" if words else "")
        cause = seen.__cause__
        seen = cause or (None if seen.__suppress_context__ else seen.__context__)
        if seen is not None:
            yield "which came from:" if cause else "while dealing with:"


def _harmless_words(error: BaseException) -> str:
    """Return messages of the system, which name files and tables but quote no personal data."""
    if isinstance(error, sqlite3.Error):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return ""
