"""One transaction's changes to a session and its utterances, with the numbers clients rely on."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from hub.events import Event, SessionChanged, SessionOver, TranscriptCommitted, TranscriptEnded
from models import sort_keys
from models.database import Connection
from models.repositories import bulk, utterances
from models.tables import Session, SessionStatus, Utterance
from models.turns import Turns
from resolvers.transcripts import openings
from resolvers.transcripts.merge import CHANGED, UtteranceChange, prevails

RESERVE: Final = 64
"""Revisions that interims may use before their row has to be written again."""
PREVIEW_LENGTH: Final = 160
"""Characters of the first utterance that lists of sessions show."""
CARRIED: Final = 250
"""Changes of one session in one commit that its event carries; readers fetch larger ones."""
CARRIED_WEIGHT: Final = 64 * 1024
"""Characters of text in one event. JSON may need twelve bytes for each, and many WebSocket clients
accept frames of up to 1 MiB: on a larger one they disconnect, reconnect, and get it again."""
AHEAD: Final = timedelta(seconds=5)
"""How far an agent's clock may be ahead of ours. Otherwise, one wrong time in the future would
place everything said until then before it."""

RevisionOf = Callable[[Utterance], int | None]
"""Returns the revision under which a row's content was published; None if it was not."""

# Columns that clients see; a commit that changes one of them increments `version`.
_VISIBLE: Final = (
    "title",
    "status",
    "agent_name",
    "failure_code",
    "started_at",
    "ended_at",
    "end_reason",
    "utterance_count",
    "preview",
)
_FIXED: Final = frozenset({"id", "room_name", "created_at"})
# Derived from the table, so that a new column is written without another change here.
_INTERNAL: Final = (
    "user_id",
    *sorted({*Session._meta.fields_db_projection} - {*_VISIBLE, *_FIXED, "user_id"}),
)


class SessionEdit:
    """One session in a transaction: its row is locked, and its changes are collected."""

    def __init__(
        self,
        conn: Connection,
        session: Session,
        now: datetime,
        *,
        is_new: bool = False,
        last_sort_key: str | None = None,
    ) -> None:
        self._conn = conn
        self.session = session
        self._now = now
        self.is_new = is_new
        self.is_visibly_changed = is_new
        self.changed: dict[str, Utterance] = {}
        """The rows that this transaction writes, by key, in the order of their first change."""
        self.created_count = 0
        self.first_seq = session.last_seq + 1
        self._rows: dict[str, Utterance] = {}
        self._new: set[str] = set()
        self._loaded: set[str] = set()
        self._end = last_sort_key
        self._before = self._values(_VISIBLE)
        self._title_before = session.shown_title
        self._before_internal = self._values(_INTERNAL)

    def _values(self, names: Iterable[str]) -> list[object]:
        return [getattr(self.session, name) for name in names]

    async def load(self, keys: Iterable[str]) -> Mapping[str, Utterance]:
        """Read those rows of these keys that were not read yet, and return all known rows."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._loaded]
        if missing and not self.is_new:
            found = await bulk.with_keys(self._conn, {self.session.id: missing})
            self.take_in(found[self.session.id])
        self._loaded.update(missing)
        return self._rows

    def take_in(self, rows: Iterable[Utterance], keys: Iterable[str] = ()) -> None:
        """Add rows read for this session, and note that these keys have no other rows."""
        for row in rows:
            self._rows.setdefault(row.key, row)
            self._loaded.add(row.key)
        self._loaded.update(keys)

    def unchanged(self) -> list[Utterance]:
        """Return the rows that were read and are not changed."""
        return [row for key, row in self._rows.items() if key not in self.changed]

    async def sort_keys(self) -> list[str]:
        """Return the sort keys of all rows in order, including those of this transaction."""
        stored = await utterances.sort_keys(self._conn, self.session.id)
        return sorted(stored | {row.sort_key for row in self.changed.values()})

    async def merge(self, change: UtteranceChange, sort_key: str | None = None) -> bool:
        """Apply the change if it prevails over its key's row; return whether it does.

        A new key gets the given sort key, or one by its time.
        """
        key = change.key
        if key not in self._loaded:
            await self.load([key])
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = await self._made(change, sort_key)
            self._new.add(key)
            self.created_count += 1
        elif prevails(change, row.source, row.is_final, row.agent_revision):
            for name in CHANGED:
                setattr(row, name, getattr(change, name))
        else:
            return False
        self.changed[key] = row
        return True

    def _note_heard(self, attempt: int, began: datetime) -> None:
        """Note the latest time at which a segment of the newest attempt began."""
        session = self.session
        if attempt < (session.heard_attempt or 0):
            return
        if attempt != session.heard_attempt or session.heard_until is None:
            session.heard_attempt, session.heard_until = attempt, began
        else:
            session.heard_until = max(session.heard_until, began)

    async def _made(self, change: UtteranceChange, sort_key: str | None) -> Utterance:
        attempt = change.attempt
        began = None if attempt is None else min(change.started_at, self._now + AHEAD)
        if attempt is not None and began is not None:
            if sort_key is None and self._is_early(attempt, began):
                sort_key = await self._sort_key_by_time(attempt, began)
            self._note_heard(attempt, began)
        if sort_key is None:
            sort_key = await self._next_sort_key()
        elif self._end is not None:
            self._end = max(self._end, sort_key)
        values = {name: getattr(change, name) for name in CHANGED}
        return bulk.unwritten(
            self.session.id,
            change.key,
            sort_key,
            attempt=attempt,
            began_at=began,
            revision=0,
            ceiling=0,
            seq=0,
            **values,
        )

    def _is_early(self, attempt: int, began: datetime) -> bool:
        """Whether an utterance of the same attempt may have begun after it."""
        newest, until = self.session.heard_attempt, self.session.heard_until
        if newest is None or until is None:
            return False
        return attempt < newest or (attempt == newest and began < until)

    async def _sort_key_by_time(self, attempt: int, began: datetime) -> str | None:
        """Return a sort key by time among the utterances of the same attempt.

        It comes after the last utterance that did not begin later, or before the first if all began
        later. So speech that is recognised late stands before its answer. None means that no
        utterance of the attempt comes after it, so it belongs at the end.
        """
        # Each query reads one row, from an end of the order: the session may be long, and
        # everybody's utterances wait for this transaction.
        last = await self._outermost("-", lambda row: row.attempt == attempt, attempt=attempt)
        if last is None or _did_begin(last, began):
            return None
        left = await self._outermost(
            "-",
            lambda row: row.attempt == attempt and _did_begin(row, began),
            attempt=attempt,
            began_at__lte=began,
        )
        if left is not None:
            here = left.sort_key
            after = await self._outermost("", lambda row: row.sort_key > here, sort_key__gt=here)
            return sort_keys.between(here, None if after is None else after.sort_key)[0]
        right = await self._outermost("", lambda row: row.attempt == attempt, attempt=attempt)
        assert right is not None, "The last one of this attempt is one of them."
        here = right.sort_key
        before = await self._outermost("-", lambda row: row.sort_key < here, sort_key__lt=here)
        return sort_keys.between(None if before is None else before.sort_key, here)[0]

    async def _outermost(
        self, sign: Literal["", "-"], is_one: Callable[[Utterance], bool], **filters: object
    ) -> Utterance | None:
        """Return the first of these rows, or the last with "-", including this transaction's.

        `is_one` is the condition of `filters`, for rows that are not written yet.
        """
        found = [row for row in self.changed.values() if is_one(row)]
        if not self.is_new:
            stored = await utterances.outermost(self._conn, self.session.id, sign, **filters)
            found.extend([] if stored is None else [stored])
        outermost = max if sign else min
        return outermost(found, key=lambda row: row.sort_key, default=None)

    async def _next_sort_key(self) -> str:
        if self._end is None:
            last = await self._outermost("-", lambda row: True)
            self._end = None if last is None else last.sort_key
        self._end = sort_keys.after(self._end)
        return self._end

    async def recommit_unfinished(self) -> None:
        """Commit unfinished utterances again.

        After a restart, or when another process takes the session over, nobody knows which interims
        were published beyond what is written. The commit then takes a revision above all of them,
        and readers get what is written.
        """
        for row in await utterances.interims(self._conn, self.session.id):
            self._rows.setdefault(row.key, row)
            self._loaded.add(row.key)
            self.changed.setdefault(row.key, self._rows[row.key])

    async def number(self, revision_of: RevisionOf) -> list[Utterance]:
        """Give every changed row its seq and revision, and update the counters.

        Content that was published already keeps its revision, so nobody gets it a second time.
        """
        session = self.session
        async for row in Turns().of(self.changed.values()):
            session.last_seq += 1
            row.seq = session.last_seq
            row.revision = revision_of(row) or row.ceiling + 1
            row.ceiling = row.revision if row.is_final else row.revision + RESERVE
        session.utterance_count += self.created_count
        self._preview()
        is_seen = self._values(_VISIBLE) != self._before
        if not self.is_new and (is_seen or self._is_renamed() or self._is_late()):
            session.version += 1
            self.is_visibly_changed = True
        return list(self.changed.values())

    def _is_renamed(self) -> bool:
        return self.session.shown_title != self._title_before

    def _is_late(self) -> bool:
        """Whether utterances are written after the end, when no stream delivers them any more.

        A client that shows an ended session watches its version.
        """
        return self.session.status is SessionStatus.ENDED and bool(self.changed)

    def _preview(self) -> None:
        if not self.changed:
            return
        session = self.session
        first = min(self.changed.values(), key=lambda row: row.sort_key)
        held = session.preview_sort_key
        if held is None or first.sort_key <= held:
            session.preview_sort_key = first.sort_key
            session.preview = preview_of(first.text)

    async def note_opening(self) -> None:
        """Update the opening, the title of a session without a name."""
        await openings.note(self._conn, self.session, self.changed)

    def committed(self, heard_at: float | None) -> TranscriptCommitted | None:
        """Return the event about its utterances, to publish after the commit.

        Args:
            heard_at: When its first frame arrived; None if no agent reported it.
        """
        if not self.changed:
            return None
        rows = self.changed.values()
        is_light = len(rows) <= CARRIED and sum(len(r.text) for r in rows) <= CARRIED_WEIGHT
        utterances = tuple((row.seq, row.state()) for row in rows) if is_light else None
        return TranscriptCommitted(
            self.session.id, self.first_seq, self.session.last_seq, utterances, heard_at
        )

    def announced(self) -> list[Event]:
        """Return the events about the session itself, to publish after the commit."""
        session = self.session
        if not self.is_visibly_changed:
            return []
        changed = SessionChanged(session.id, session.user_id, session.state())
        if session.status is not SessionStatus.ENDED:
            return [changed]
        ended = TranscriptEnded(session.id, "SESSION_ENDED", session.last_seq)
        return [changed, ended, SessionOver(session.id, session.room_name)]

    def changed_columns(self) -> tuple[str, ...]:
        """Return the columns of the session's row to write."""
        before = zip(_VISIBLE + _INTERNAL, self._before + self._before_internal, strict=True)
        return tuple(name for name, held in before if getattr(self.session, name) != held)


def _did_begin(row: Utterance, by: datetime) -> bool:
    """Whether an agent's utterance had begun by this time."""
    return row.began_at is not None and row.began_at <= by


def preview_of(text: str) -> str:
    """Return the beginning of a text, on one line."""
    line = " ".join(text[: 4 * PREVIEW_LENGTH].split())
    return line if len(line) <= PREVIEW_LENGTH else line[: PREVIEW_LENGTH - 1].rstrip() + "…"
