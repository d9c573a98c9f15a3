"""Limits what an utterance may contain; both sides check it, a client before it sends."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from .codes import KEY_LENGTH, LANGUAGE_LENGTH, TEXT_BYTES, NackCode
from .frames import Nack, Utterance

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)

RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-5][0-9])"
)


class Unacceptable(ValueError):
    """The frame is well-formed, but its contents can't be accepted; `nack` is the answer."""

    def __init__(self, segment: str, revision: int, code: NackCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.nack = Nack(segment, revision, code.value, message, terminal=True)


def is_key(value: str, longest: int = KEY_LENGTH) -> bool:
    """Whether this is 1 to `longest` printable characters; half a surrogate pair is not."""
    return 1 <= len(value) <= longest and value.isprintable()


def fault_of_text(text: str) -> tuple[NackCode, str] | None:
    """Say why this text can't be accepted; None if it can."""
    if not text.strip():
        return NackCode.EMPTY_TEXT, "text must not be blank"
    if "\0" in text:
        return NackCode.BAD_TEXT, "text must not contain a NUL character"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return NackCode.BAD_TEXT, "text must not contain half of a surrogate pair"
    if size > TEXT_BYTES:
        return NackCode.TEXT_TOO_LONG, f"text must be at most {TEXT_BYTES} bytes, not {size}"
    return None


def fault_of_utterance(utterance: Utterance, now: datetime) -> tuple[NackCode, str] | None:
    """Say why the contents of this utterance can't be accepted; None if they can."""
    if fault := fault_of_text(utterance.text):
        return fault
    for name, moment in (("startedAt", utterance.started_at), ("endedAt", utterance.ended_at)):
        if moment is not None and not EARLIEST <= moment <= now + AHEAD:
            return NackCode.BAD_TIMESTAMP, f"{name} must lie between 1970 and a day from now"
    confidence, language = utterance.confidence, utterance.language
    if confidence is not None and not 0 <= confidence <= 1:
        return NackCode.BAD_VALUE, "confidence must be a number from 0 to 1"
    if language is not None and not is_key(language, LANGUAGE_LENGTH):
        return NackCode.BAD_VALUE, f"language must be 1 to {LANGUAGE_LENGTH} printable characters"
    if utterance.speaker is not None and not is_key(utterance.speaker):
        return NackCode.BAD_VALUE, f"speaker must be 1 to {KEY_LENGTH} printable characters"
    return None


def read_time(value: str) -> datetime | None:
    """Read an RFC 3339 time with an offset, to the microsecond; None when it isn't one."""
    if RFC_3339.fullmatch(value) is None:
        return None
    try:
        # `fromisoformat` accepts capital letters only.
        return datetime.fromisoformat(value.upper())
    except ValueError:
        return None


def write_time(moment: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
