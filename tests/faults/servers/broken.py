"""Deliberately broken servers, each of which the checker must detect.

Each function patches the app in a process that serves only the checker's tests.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from hub import counts
from hub.events import Event
from models.database import Connection, transact
from models.repositories import bulk
from models.sqlite.engine import SqliteEngine
from models.tables import Session
from resolvers.lost_events import LostEvents
from resolvers.sessions import saving
from resolvers.transcripts import streams
from resolvers.transcripts.commit_queue import Reply
from resolvers.transcripts.edit import _VISIBLE, SessionEdit
from resolvers.transcripts.merge import UtteranceChange
from resolvers.transcripts.transaction import Transaction
from resolvers.transcripts.transactions import Transactions
from resolvers.transcripts.writer import TranscriptWriter
from serving.process import address, server
from settings import Settings

T = TypeVar("T")

SOON_S = 3.0

WINDOW_S = 0.15
"""How long a kill can expose the fault; without this delay detection would take luck."""


def acknowledges_early(settings: Settings) -> Settings:
    """Acknowledge finals on arrival, before they are committed."""
    report, commit_waiting = TranscriptWriter.report, TranscriptWriter.commit_waiting

    def eager(
        self: TranscriptWriter, session_id: str, claim: UtteranceChange, reply: Reply
    ) -> None:
        reply(None)
        report(self, session_id, claim, lambda _: None)

    async def late(self: TranscriptWriter) -> bool:
        await asyncio.sleep(WINDOW_S)
        return await commit_waiting(self)

    _patch(TranscriptWriter, report=eager, commit_waiting=late)
    return settings


def publishes_early(settings: Settings) -> Settings:
    """Publish changes before they are committed."""

    async def early(self: Transactions, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._turn:
            emitted: list[Event] = []

            async def body(conn: Connection) -> T:
                live = self._live
                transaction = Transaction(conn, self.clock(), live.pending, live.revision_of)
                result = await work(transaction)
                await transaction.write()
                for edit in transaction.edits.values():
                    self._publish(edit)
                emitted.extend(transaction.emitted)
                if self._queue._in_flight:
                    # Shorter, because agents that come back also wait for their turn.
                    await asyncio.sleep(WINDOW_S / 3)
                return result

            result = await transact(body)
            for event in emitted:
                self._hub.emit(event)
            return result

    _patch(Transactions, _run=early)
    return settings


def loses_the_tail(settings: Settings) -> Settings:
    """Drop the newest changes at each start, like a log truncated where it was torn."""
    _before_start(
        settings,
        "DELETE FROM utterances WHERE seq > "
        "(SELECT last_seq - 3 FROM sessions WHERE sessions.id = utterances.session_id)",
    )
    return settings


def skips_the_tail(settings: Settings) -> Settings:
    """Start streams at the newest event, so that subscribers miss what was said while away."""
    begin = streams.TranscriptStream._begin

    async def from_the_end(self: streams.TranscriptStream) -> Any:
        session = await Session.get(id=self._about)
        self._advance(session.last_seq)
        async for event in begin(self):
            yield event

    _patch(streams.TranscriptStream, _begin=from_the_end)
    return settings


def reuses_revisions(settings: Settings) -> Settings:
    """Forget at each start the revisions reserved for interims that were never written."""
    _before_start(settings, "UPDATE utterances SET ceiling = revision WHERE NOT is_final")
    return settings


def doubles_on_resend(settings: Settings) -> Settings:
    """Store a resent final as a new utterance."""
    report = TranscriptWriter.report
    seen: set[tuple[str, str, int | None]] = set()

    def forgetful(
        self: TranscriptWriter, session_id: str, claim: UtteranceChange, reply: Reply
    ) -> None:
        report(self, session_id, claim, reply)
        mark = (session_id, claim.key, claim.agent_revision)
        if claim.is_final and mark not in seen:
            seen.add(mark)
            again = UtteranceChange(
                key=f"{claim.key}-again",
                role=claim.role,
                source=claim.source,
                text=claim.text,
                is_final=True,
                started_at=claim.started_at,
                agent_revision=claim.agent_revision,
            )
            report(self, session_id, again, lambda _: None)

    _patch(TranscriptWriter, report=forgetful)
    return settings


def keeps_what_it_refuses(settings: Settings) -> Settings:
    """Skip the checks on saved messages, so that invalid ones are written."""

    async def unchecked(*_: object) -> None:
        return None

    _patch(saving, check_messages=unchecked)
    return settings


def hides_late_words(settings: Settings) -> Settings:
    """Store utterances that come after the end without publishing them."""
    publish = Transactions._publish

    def quiet(self: Transactions, edit: SessionEdit) -> None:
        if edit.session.ended_at is None or edit._before[_VISIBLE.index("status")] != "ENDED":
            publish(self, edit)

    _patch(Transactions, _publish=quiet)
    return settings


def does_not_reserve(settings: Settings) -> Settings:
    """Keep reserved revisions in memory only, so that another process uses them too."""
    statement = bulk._UPSERT.replace("ceiling = excluded.ceiling", "ceiling = excluded.revision")
    assert statement != bulk._UPSERT
    _patch(bulk, _UPSERT=statement)
    return settings


def misses_lost_ends(settings: Settings) -> Settings:
    """Leave out transcripts when looking for lost events."""
    _patch(LostEvents, _compare_transcript=lambda *_: None)
    return settings


def does_not_sync(settings: Settings) -> Settings:
    """Leave syncing to the operating system."""
    return _with_synchronous(settings, "OFF")


def syncs_at_checkpoints(settings: Settings) -> Settings:
    """Sync as WAL mode does by default: a commit survives a crash, but not a power cut."""
    return _with_synchronous(settings, "NORMAL")


def gives_up_soon(settings: Settings) -> Settings:
    """Drop silent or stuck clients after 3 s. This is no fault; it shortens a test."""
    begin = uvicorn.Config.__init__

    def hurried(self: uvicorn.Config, app: ASGIApp, **given: Any) -> None:
        begin(self, app, **{**given, "ws_ping_interval": SOON_S, "ws_ping_timeout": SOON_S})

    _patch(uvicorn.Config, __init__=hurried)
    _patch(address, STUCK_CLIENT_MS=round(1_000 * SOON_S), STUCK_READER_MS=round(1_000 * SOON_S))
    return settings


def loses_patience_soon(settings: Settings) -> Settings:
    """End the streams of a reader stuck for half a second. This also shortens a test."""
    _patch(server, STUCK_READER_S=0.5)
    return settings


def waits_for_redis(settings: Settings) -> Settings:
    """Give Redis 20 s to count. This is no fault; it keeps a test steady on a busy machine."""
    _patch(counts, ANSWERS_WITHIN_S=20.0)
    return settings


FAULTS: dict[str, Callable[[Settings], Settings]] = {
    fault.__name__: fault
    for fault in (
        acknowledges_early,
        publishes_early,
        loses_the_tail,
        skips_the_tail,
        reuses_revisions,
        doubles_on_resend,
        keeps_what_it_refuses,
        hides_late_words,
        does_not_reserve,
        misses_lost_ends,
        does_not_sync,
        syncs_at_checkpoints,
        gives_up_soon,
        loses_patience_soon,
        waits_for_redis,
    )
}
SOUND = "none"


def apply(fault: str, settings: Settings) -> Settings:
    """Break the app in this process; return the settings to run it with."""
    return settings if fault == SOUND else FAULTS[fault](settings)


def _patch(owner: object, **methods: object) -> None:
    for name, method in methods.items():
        setattr(owner, name, method)


def _before_start(settings: Settings, statement: str) -> None:
    file = SqliteEngine(settings.database_url.partition("://")[2]).file
    if file.exists():
        with sqlite3.connect(file) as database:
            database.execute(statement)
        database.close()


def _with_synchronous(settings: Settings, value: str) -> Settings:
    url = f"{settings.database_url}?synchronous={value}"
    return settings.model_copy(update={"database_url": url})
