"""What each kind of database does in its own way: see `models.sqlite` and `models.postgres`."""

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from models.search.parsing import Search

log = structlog.get_logger(__name__)

Query = tuple[str, Sequence[Any]]
"""A statement and its values."""

_SENTENCES: Final = {
    "locked": "another process keeps it locked",
    "full": "the disk is full",
    "failing": "the disk reports a fault",
    "read-only": "it may only be read",
    "damaged": "its file is damaged, so restore a backup",
    "unreachable": "its server can't be reached",
}


class CannotUse(Exception):
    """The database can't be used; the message says why and what to do."""


class NotStored(Exception):
    """The database is not writable, whatever the statement; nothing was changed."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"The database can't be written to: {_SENTENCES[trouble]}.")
        self.trouble = trouble
        """`full`, `locked`, `failing`, `read-only`, `damaged` or `unreachable`."""


class NotAvailable(Exception):
    """The database can't be used now, whatever the statement."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"The database can't be used: {_SENTENCES[trouble]}.")
        self.trouble = trouble
        """See `NotStored.trouble`."""


class SearchIndex(Protocol):
    """The index of the words of all final utterances and titles.

    Each word is a sequence of tokens; see `models.search.parsing`.
    """

    def sessions(self, search: Search, word: tuple[str, ...]) -> Query:
        """Return a query for the ids of the sessions that have a word in a line or the title."""

    def has_any_word(self, search: Search) -> Query:
        """Return a condition on `utterances`: the line has at least one of the words."""

    def best(self, search: Search, session_ids: Sequence[str]) -> Query:
        """Return a query for the `session_id` and `number` of each session's best line.

        The best line has the most and rarest words of the search; of equals, the earliest.
        """


class Engine(Protocol):
    """One database: its files before the server starts, its connections, and its dialect."""

    @property
    def search(self) -> SearchIndex:
        """The index of all words."""

    @property
    def folder(self) -> Path | None:
        """The folder on whose disk the data is; None if a database server keeps it."""

    @property
    def locks_rows(self) -> bool:
        """Whether a transaction must lock the rows that others must not change meanwhile."""

    def exists(self) -> bool:
        """Return whether there is a database; True if only its server knows."""

    def check_files(self) -> None:
        """Check that the data can be read and written, or created.

        Raises:
            CannotUse: when it can't.
        """

    def is_full(self) -> bool:
        """Return whether the data's disk has too little room for a commit."""

    def check_room(self) -> None:
        """Check that the disk has room.

        Raises:
            CannotUse: when the disk is full.
        """

    def check_data(self) -> bool:
        """Check for damage; return whether there was time to check everything.

        Raises:
            CannotUse: when the database is damaged or unreadable.
        """

    def sole_process(self) -> AbstractAsyncContextManager[None]:
        """Keep every other server away from this database.

        Raises:
            CannotUse: when another server uses it.
        """

    def one_of_several(self, number: int) -> AbstractAsyncContextManager[None]:
        """Take part as one of several server processes; `processes` finds it by its number.

        Raises:
            CannotUse: when a server that shares no events uses it, or only one process may.
        """

    async def processes(self, conn: Any) -> set[int]:
        """Return the numbers of all server processes that use this database now."""

    def copy(self, target: Path) -> int:
        """Copy the database into a new file; return its size in bytes.

        Raises:
            CannotUse: when the database has a tool of its own for this.
            FileNotFoundError: when there is nothing to copy, or no folder for the copy.
            FileExistsError: when the target exists.
            NotAvailable: when the database is damaged, locked, or the like.
        """

    def connections(self, *, is_migrating: bool = False) -> dict[str, dict[str, Any]]:
        """Return Tortoise's settings of the connections `default` and `reader`.

        For migrations, tables can be rebuilt while others refer to them, and another process that
        migrates is waited for.
        """

    async def begin_migration(self, conn: Any) -> None:
        """Wait for other processes that migrate, and check that the database can be used.

        Raises:
            CannotUse: when it can't.
        """

    async def finish_migration(self, conn: Any) -> None:
        """Check and complete what the migrations have done.

        Raises:
            RuntimeError: when a row's parent is missing.
        """

    async def finish_copy(self, conn: Any, numbered: Sequence[tuple[str, str]]) -> None:
        """Complete a database whose rows were copied from another one.

        Args:
            conn: A transaction.
            numbered: The tables whose key is a number that the database assigns, and its column.
        """

    async def try_to_write(self, conn: Any) -> None:
        """Write without storing anything: it takes the lock, space, and a sync at the commit."""

    def has_changed(self, conn: Any) -> bool:
        """Return whether a committed transaction changed a row."""

    def trouble_of(self, error: BaseException) -> str | None:
        """Return what is wrong with the storage (see `NotStored`); None for other errors."""

    async def queried(self, conn: Any, queries: Sequence[Query]) -> list[list[dict[str, Any]]]:
        """Run independent queries, in as few round trips as possible; return the rows of each."""

    def moment(self, stored: Any) -> datetime:
        """Return a time as a query of plain SQL gives it, aware and in UTC."""


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

    def failed(self, trouble: str) -> NotStored:
        """Note that the storage failed a transaction; return the error to raise."""
        self.failures += 1
        self._ended_at = time.monotonic()
        # Log each trouble once: callers try again all the time.
        if trouble != self.trouble:
            log.error("database_not_written", trouble=trouble)
            if self.trouble is None:
                self._troubled_at = self._ended_at
            self.trouble = trouble
        if trouble in ("locked", "unreachable"):
            self._locked_out_at = self._ended_at
        return NotStored(trouble)

    def give_up(self, asked_at: float) -> None:
        """Refuse callers that were already waiting when another attempt waited in vain.

        Otherwise each would wait just as long again, one after the other.

        Args:
            asked_at: `time.monotonic()` when the caller began to wait.

        Raises:
            NotStored: An attempt hit a time-out since then: of a lock, or of the server.
        """
        if asked_at < self._locked_out_at:
            raise NotStored(self.trouble or "locked")

    def is_known(self, within: float) -> bool:
        """Whether a transaction was stored within this many seconds, and none has failed since."""
        return self.trouble is None and time.monotonic() - self._ended_at < within


writes: Final = Writes()
