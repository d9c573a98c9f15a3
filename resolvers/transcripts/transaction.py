"""A unit of work: one transaction's changes, and the events published after its commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from hub.events import Event
from models.database import Connection
from models.repositories import bulk, sessions
from models.tables import Session, Utterance
from resolvers.transcripts.edit import RevisionOf, SessionEdit
from resolvers.transcripts.merge import UtteranceChange


class Transaction:
    """One transaction's changes, and the events published once it is committed.

    Attributes:
        conn: The connection that all of its statements must use.
        now: The time that is written.
        edits: The sessions that it may change, by id.
        emitted: The events emitted so far.
    """

    def __init__(
        self,
        conn: Connection,
        now: datetime,
        pending: Callable[[str], Iterable[UtteranceChange]] = lambda _: (),
        revision_of: RevisionOf = lambda _: None,
    ) -> None:
        self.conn = conn
        self.now = now
        self.edits: dict[str, SessionEdit] = {}
        self.emitted: list[Event] = []
        self._pending = pending
        self._revision_of = revision_of

    def emit(self, event: Event) -> None:
        """Publish the event right after the commit, even if the caller is gone by then.

        Events are published in the order in which they were emitted, after those of the sessions
        that this transaction changed, and before those of any later transaction.
        """
        self.emitted.append(event)

    async def flush(self, edit: SessionEdit) -> None:
        """Merge all changes of this session that are not written yet into the transaction.

        These are published interims, and changes that wait for their own commit. Merging a change
        twice is harmless, so its own commit still answers it.
        """
        changes = list(self._pending(edit.session.id))
        if changes:
            await edit.load(change.key for change in changes)
            for change in changes:
                await edit.merge(change)

    async def edit(self, session_id: str) -> SessionEdit | None:
        """Lock a session's row; None if there is none, or only its tombstone."""
        if session_id not in self.edits:
            await self.lock({session_id: ()})
        return self.edits.get(session_id)

    async def lock(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Lock the existing rows of these sessions, and read the utterances with these keys."""
        locked, found = await bulk.locked_with_keys(self.conn, wanted)
        for session, last_sort_key in locked:
            if session.deleted_at is None:
                edit = self.edits[session.id] = SessionEdit(
                    self.conn, session, self.now, last_sort_key=last_sort_key
                )
                edit.take_in(found.get(session.id, ()), wanted[session.id])

    def adopt(self, session: Session) -> SessionEdit:
        """Collect the changes of a session whose row is already locked."""
        return self.edits.setdefault(session.id, SessionEdit(self.conn, session, self.now))

    def create(self, session: Session) -> SessionEdit:
        """Add a session that does not exist yet."""
        edit = self.edits[session.id] = SessionEdit(self.conn, session, self.now, is_new=True)
        return edit

    async def write(self) -> None:
        """Number and write all collected changes, the rows of all sessions at once."""
        for edit in list(self.edits.values()):
            await self.flush(edit)
        rows: list[Utterance] = []
        changes: list[tuple[Session, tuple[str, ...]]] = []
        for edit in self.edits.values():
            await edit.note_opening()
            rows.extend(await edit.number(self._revision_of))
            if edit.is_new:
                await sessions.add(self.conn, edit.session)
            else:
                changes.append((edit.session, edit.changed_columns()))
        await bulk.update_sessions(self.conn, changes)
        await bulk.write(self.conn, rows)
