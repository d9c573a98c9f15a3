"""Tracks whether the database can be written to, and describes why not."""

import sqlite3
import time
from typing import Final

import structlog

log = structlog.get_logger(__name__)

# https://www.sqlite.org/rescode.html: faults of the storage, not of a statement.
_TROUBLES: Final = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "failing",
    sqlite3.SQLITE_CANTOPEN: "failing",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_SENTENCES: Final = {
    "locked": "another process keeps it locked",
    "full": "the disk is full",
    "failing": "the disk reports a fault",
    "read-only": "it may only be read",
    "damaged": "its file is damaged, so restore a backup",
}


class NotStored(Exception):
    """The database is not writable, whatever the statement; nothing was changed."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"The database can't be written to: {_SENTENCES[trouble]}.")
        self.trouble = trouble
        """`full`, `locked`, `failing`, `read-only` or `damaged`."""


class Writes:
    """How this process's newest transactions ended."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Reset everything: another database is opened."""
        self.trouble: str | None = None
        """What kept the newest transaction from being stored; None if it was stored."""
        self.failures = 0
        """Transactions not stored since the start."""
        self._ended_at = float("-inf")
        self._troubled_at = 0.0
        self._locked_out_at = float("-inf")

    def stored(self) -> None:
        """Note that a transaction is on disk."""
        self._ended_at = time.monotonic()
        if self.trouble is not None:
            seconds = round(self._ended_at - self._troubled_at, 1)
            log.info("database_written_again", after_seconds=seconds)
            self.trouble = None

    def failed(self, error: BaseException) -> NotStored | None:
        """Note that a transaction failed; return the error to raise if the storage is at fault."""
        trouble = trouble_of(error)
        if trouble is None:
            return None
        self.failures += 1
        self._ended_at = time.monotonic()
        # Log each trouble once: callers try again all the time.
        if trouble != self.trouble:
            log.error("database_not_written", trouble=trouble)
            if self.trouble is None:
                self._troubled_at = self._ended_at
            self.trouble = trouble
        if trouble == "locked":
            self._locked_out_at = self._ended_at
        return NotStored(trouble)

    def give_up(self, asked_at: float) -> None:
        """Refuse callers that were already waiting when another attempt hit the lock time-out.

        Otherwise each would wait just as long again, one after the other.

        Args:
            asked_at: `time.monotonic()` when the caller began to wait.

        Raises:
            NotStored: An attempt hit the lock time-out since then.
        """
        if asked_at < self._locked_out_at:
            raise NotStored("locked")

    def is_known(self, within: float) -> bool:
        """Whether a transaction was stored within this many seconds, and none has failed since."""
        return self.trouble is None and time.monotonic() - self._ended_at < within


writes: Final = Writes()


def trouble_of(error: BaseException) -> str | None:
    """Return what is wrong with the storage; None if the error has another cause."""
    seen: BaseException | None = error
    while seen is not None:
        code = getattr(seen, "sqlite_errorcode", None)
        if isinstance(seen, sqlite3.Error) and code is not None:
            return _TROUBLES.get(code & 0xFF)
        # Tortoise raises its own error while handling SQLite's, without `from`.
        seen = seen.__cause__ or seen.__context__
    return None
