"""Whether the database takes what is written to it, and what is said when it does not."""

import sqlite3
import time
from typing import Final

import structlog

log = structlog.get_logger(__name__)

# https://www.sqlite.org/rescode.html: what is no fault of a statement, but of what is below it.
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
    """The database could not be written to, whatever was to be written; nothing was changed."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"The database can't be written to: {_SENTENCES[trouble]}.")
        self.trouble = trouble
        """`full`, `locked`, `failing`, `read-only` or `damaged`."""


class Writes:
    """How the newest transactions of this process ended."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything: another database is opened."""
        self.trouble: str | None = None
        """What kept the newest transaction from being stored; None when it was."""
        self.failures = 0
        """Transactions that were not stored, since the start."""
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
        """Note that a transaction failed; return what to raise if that was the storage's fault."""
        trouble = trouble_of(error)
        if trouble is None:
            return None
        self.failures += 1
        self._ended_at = time.monotonic()
        # Once for each trouble: callers try again all the time.
        if trouble != self.trouble:
            log.error("database_not_written", trouble=trouble)
            if self.trouble is None:
                self._troubled_at = self._ended_at
            self.trouble = trouble
        if trouble == "locked":
            self._locked_out_at = self._ended_at
        return NotStored(trouble)

    def give_up(self, asked_at: float) -> None:
        """Refuse who has waited while somebody else's attempt ran into a lock's time-out.

        Each of them would try for as long again, one after the other.

        Args:
            asked_at: `time.monotonic()` of when they began to wait.

        Raises:
            NotStored: That was so.
        """
        if asked_at < self._locked_out_at:
            raise NotStored("locked")

    def is_known(self, within: float) -> bool:
        """Whether a transaction was stored within so many seconds, and none has failed since."""
        return self.trouble is None and time.monotonic() - self._ended_at < within


writes: Final = Writes()


def trouble_of(error: BaseException) -> str | None:
    """Return what is the matter with the storage; None when an error has another reason."""
    seen: BaseException | None = error
    while seen is not None:
        code = getattr(seen, "sqlite_errorcode", None)
        if isinstance(seen, sqlite3.Error) and code is not None:
            return _TROUBLES.get(code & 0xFF)
        # Tortoise raises its own error while it handles SQLite's, without `from`.
        seen = seen.__cause__ or seen.__context__
    return None
