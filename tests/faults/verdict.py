"""Compares the database with what clients and agents were promised and shown."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg

from models.titles import title_of
from resolvers.transcripts.edit import preview_of
from tests.faults.clients.journal import Conversation, Journal, Kind, Spoken, moment
from tests.faults.clients.watchers import Watcher

Row = dict[str, Any]


class Stored:
    """The whole database, read without the server's code.

    Args:
        database: A SQLite file, or the URL of a PostgreSQL database.
    """

    def __init__(self, database: Path | str) -> None:
        self.problems: list[str] = []
        if isinstance(database, str):
            # Callers wait in the event loop of the test, and asyncpg needs one.
            with ThreadPoolExecutor(1) as threads:
                threads.submit(asyncio.run, self._read(database)).result()
            return
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            self.sessions = {
                row["id"]: dict(row) for row in connection.execute("SELECT * FROM sessions")
            }
            self.utterances: dict[str, list[Row]] = {session: [] for session in self.sessions}
            for row in connection.execute("SELECT * FROM utterances ORDER BY sort_key"):
                self.utterances.setdefault(row["session_id"], []).append(dict(row))
            self.problems = [
                str(tuple(row))
                for pragma in ("integrity_check", "foreign_key_check")
                for row in connection.execute(f"PRAGMA {pragma}")
                if tuple(row) != ("ok",)
            ]
            self.texts = [
                str(value)
                for table in ("sessions", "utterances", "idempotency_records")
                for row in connection.execute(f"SELECT * FROM {table}")
                for value in tuple(row)
                if isinstance(value, str)
            ]

    async def _read(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            tables = {
                table: [
                    {name: _plain(value) for name, value in row.items()}
                    for row in await connection.fetch(f"SELECT * FROM {table}{order}")
                ]
                for table, order in (
                    ("sessions", ""),
                    ("utterances", " ORDER BY sort_key"),
                    ("idempotency_records", ""),
                )
            }
        finally:
            await connection.close()
        self.sessions = {row["id"]: row for row in tables["sessions"]}
        self.utterances = {session: [] for session in self.sessions}
        for row in tables["utterances"]:
            self.utterances[str(row["session_id"])].append(row)
        self.texts = [
            value
            for rows in tables.values()
            for row in rows
            for value in row.values()
            if isinstance(value, str)
        ]


def _plain(value: object) -> object:
    """Return a value as SQLite keeps it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return int(value) if isinstance(value, bool) else value


def judge(database: Path | str, journal: Journal, watchers: Iterable[Watcher]) -> None:
    """Add every violation to the journal."""
    stored = Stored(database)
    for problem in stored.problems:
        journal.violated(Kind.FAULT, f"the database file: {problem}")
    _judge_sessions(stored, journal)
    for conversation in journal.conversations.values():
        rows = stored.utterances.get(conversation.id, [])
        if conversation.is_deleted:
            if rows:
                journal.violated(Kind.TRACE, f"{conversation.id}: {len(rows)} rows after delete")
            continue
        _judge_words(conversation, rows, journal)
        _judge_places(conversation, rows, journal)
        _judge_counters(stored.sessions.get(conversation.id), rows, journal)
    for watcher in watchers:
        journal.counts["utterances held"] += len(watcher.held)
        if watcher.session in stored.sessions and not _is_deleted(stored, watcher.session):
            judge_watcher(watcher, stored, journal)
    _judge_traces(stored, journal)


def untold(database: Path | str, watchers: Iterable[Watcher]) -> list[str]:
    """Return the ended sessions whose watchers don't know so, or don't hold what is stored."""
    stored = Stored(database)
    return [
        watcher.session
        for watcher in watchers
        if stored.sessions[watcher.session]["status"] == "ENDED"
        and not _is_deleted(stored, watcher.session)
        and (
            watcher.ended != "SESSION_ENDED"
            or {id_: one.state["revision"] for id_, one in watcher.held.items()}
            != {row["id"]: row["revision"] for row in stored.utterances[watcher.session]}
        )
    ]


def ahead(database: Path | str, watchers: Iterable[Watcher]) -> list[str]:
    """Return the sessions of which a watcher holds more than what is stored."""
    stored = Stored(database)
    known = {row["id"]: row["revision"] for rows in stored.utterances.values() for row in rows}
    return [
        watcher.session
        for watcher in watchers
        if watcher.session in stored.sessions
        and not _is_deleted(stored, watcher.session)
        and any(one.state["revision"] > known.get(id_, 0) for id_, one in watcher.held.items())
    ]


def _is_deleted(stored: Stored, session: str) -> bool:
    return stored.sessions[session]["deleted_at"] is not None


def _judge_sessions(stored: Stored, journal: Journal) -> None:
    begun = set(journal.started_keys.values())
    for session in begun - stored.sessions.keys():
        journal.violated(Kind.LOST, f"{session}: an acknowledged session")
    for session in stored.sessions.keys() - begun:
        journal.violated(Kind.TRACE, f"{session}: a session that nobody was told of")
    if len(begun) != len(journal.started_keys):
        journal.violated(Kind.DOUBLED, "one session for two idempotency keys")
    for session, row in stored.sessions.items():
        conversation = journal.conversations.get(session)
        if conversation is None:
            continue
        if conversation.is_deleted != (row["deleted_at"] is not None):
            journal.violated(Kind.LOST, f"{session}: deleted {conversation.is_deleted} is not kept")
        if not conversation.is_deleted and row["title"] != conversation.title:
            journal.violated(Kind.LOST, f"{session}: the title {conversation.title!r}")


# ---------------------------------------------------------------------- words


def _judge_words(conversation: Conversation, rows: list[Row], journal: Journal) -> None:
    here = conversation.id
    by_key = {row["key"]: row for row in rows}
    for what, number in Counter(row["text"] for row in rows if row["is_final"]).items():
        if number > 1:
            journal.violated(Kind.DOUBLED, f"{here}: {number} times {what[:40]!r}")
    for segment, spoken in conversation.segments.items():
        row = by_key.get(segment)
        promised = max(spoken.acknowledged, default=0)
        journal.counts["finals acknowledged"] += len(spoken.acknowledged)
        if promised and (row is None or not row["is_final"]):
            journal.violated(Kind.LOST, f"{here}: {segment} revision {promised}")
        elif row is not None:
            _judge_segment(row, spoken, promised, conversation, journal)
    for key, text in conversation.typed.items():
        if key not in by_key:
            journal.violated(Kind.LOST, f"{here}: the typed line {key}")
        elif by_key[key]["text"] != text or by_key[key]["source"] != "TYPED":
            journal.violated(Kind.ALTERED, f"{here}: the typed line {key}")
    for report in conversation.reports:
        for key in report.keys if report.is_answered else ():
            if key not in by_key:
                journal.violated(Kind.LOST, f"{here}: the saved message {key}")
    for key, row in by_key.items():
        if key not in conversation.segments and row["text"] not in _client_texts(conversation, key):
            journal.violated(Kind.TRACE, f"{here}: nobody said {key} {row['text'][:40]!r}")


def _judge_segment(
    row: Row, spoken: Spoken, promised: int, conversation: Conversation, journal: Journal
) -> None:
    here = f"{conversation.id}: {row['key']}"
    revision = row["agent_revision"]
    if revision is None:
        # A client's final replaces an agent's interim until the agent's final comes.
        if row["text"] not in _client_texts(conversation, row["key"]) or promised:
            journal.violated(Kind.ALTERED, f"{here}: {row['text'][:40]!r} of a client")
        return
    if revision < promised:
        journal.violated(Kind.LOST, f"{here} revision {promised}: there is only {revision}")
        return
    said = spoken.said.get(revision)
    if said is None:
        journal.violated(Kind.ALTERED, f"{here}: revision {revision} was never said")
        return
    expected = {
        "text": said.text,
        "role": said.role,
        "source": said.source,
        "is_final": int(said.final),
        "is_interrupted": int(said.interrupted),
        "confidence": said.confidence,
        "language": said.language,
        "speaker": said.speaker,
        "started_at": moment(said.started_at),
        "ended_at": moment(said.ended_at),
    }
    for name, value in expected.items():
        if row[name] != value:
            journal.violated(Kind.ALTERED, f"{here}: {name} is {row[name]!r}, not {value!r}")


def _client_texts(conversation: Conversation, key: str) -> set[str]:
    """Return the texts that users may have stored under this key."""
    texts = {conversation.typed_perhaps[key]} if key in conversation.typed_perhaps else set()
    for report in conversation.reports:
        texts |= report.created.get(key, set())
    return texts


# ---------------------------------------------------------------------- places and counters


def _judge_places(conversation: Conversation, rows: list[Row], journal: Journal) -> None:
    """Utterances of one agent, and messages of one client, must keep their order."""
    place = {row["key"]: row["sort_key"] for row in rows}
    sequences = [
        [segment for segment, spoken in conversation.segments.items() if spoken.attempt == attempt]
        for attempt in {spoken.attempt for spoken in conversation.segments.values()}
    ]
    sequences += [report.keys for report in conversation.reports if report.is_answered]
    for keys in sequences:
        known = [key for key in keys if key in place]
        for before, after in pairwise(known):
            if place[before] >= place[after]:
                journal.violated(
                    Kind.MISPLACED, f"{conversation.id}: {before} is not before {after}"
                )


def _judge_counters(session: Row | None, rows: list[Row], journal: Journal) -> None:
    if session is None:
        return
    here = session["id"]
    if session["utterance_count"] != len(rows):
        journal.violated(
            Kind.COUNTERS, f"{here}: counts {session['utterance_count']}, has {len(rows)}"
        )
    preview = preview_of(rows[0]["text"]) if rows else None
    if session["preview"] != preview:
        journal.violated(Kind.COUNTERS, f"{here}: the preview is not that of the first words")
    settled = (row["text"] for row in rows if row["role"] == "USER" and row["is_final"])
    if session["opening"] != next(filter(None, map(title_of, settled)), None):
        journal.violated(Kind.COUNTERS, f"{here}: the opening is not what the person said first")
    seqs = [row["seq"] for row in rows]
    if len(set(seqs)) != len(seqs):
        journal.violated(Kind.DOUBLED, f"{here}: one seq for two utterances")
    if max(seqs, default=0) != session["last_seq"]:
        journal.violated(
            Kind.COUNTERS, f"{here}: last seq {session['last_seq']}, newest {max(seqs, default=0)}"
        )


# ---------------------------------------------------------------------- subscribers


def judge_watcher(watcher: Watcher, stored: Stored, journal: Journal) -> None:
    """The watcher must hold exactly what is stored, and each cursor must cover what came before."""
    here = watcher.session
    rows = {row["id"]: row for row in stored.utterances[here]}
    last = stored.sessions[here]["last_seq"]
    if watcher.seq > last:
        journal.violated(Kind.UNCOMMITTED, f"{here}: cursor {watcher.seq}, stored {last}")
    elif watcher.seq < last:
        journal.violated(Kind.HOLE, f"{here}: ended at {watcher.seq}, stored {last}")
    for id_ in watcher.held.keys() - rows.keys():
        state = watcher.held[id_].state
        journal.violated(Kind.UNCOMMITTED, f"{here}: {id_} {state['key']} is not stored")
    for id_, row in rows.items():
        held = watcher.held.get(id_)
        if held is None or held.state["revision"] < row["revision"]:
            journal.violated(Kind.HOLE, f"{here}: {row['key']} was not delivered")
            continue
        if held.state["revision"] > row["revision"]:
            journal.violated(
                Kind.UNCOMMITTED,
                f"{here}: {row['key']} held at {held.state['revision']}, stored {row['revision']}",
            )
            continue
        if not _is_same(held.state, row):
            journal.violated(Kind.REUSED, f"{here}: {row['key']} revision {row['revision']}")
        promised = watcher.event_of(row["seq"])
        if promised is not None and held.event > promised:
            journal.violated(
                Kind.HOLE, f"{here}: the cursor passed seq {row['seq']} before it was delivered"
            )


def _is_same(state: Row, row: Row) -> bool:
    def when(value: str | None) -> str | None:
        return None if value is None else value.replace("T", " ").replace("Z", "+00:00")

    pairs = {
        "key": "key",
        "role": "role",
        "speaker": "speaker",
        "source": "source",
        "text": "text",
        "sortKey": "sort_key",
        "position": "position",
        "language": "language",
        "confidence": "confidence",
    }
    return (
        all(state[name] == row[column] for name, column in pairs.items())
        and state["isFinal"] == bool(row["is_final"])
        and state["isInterrupted"] == bool(row["is_interrupted"])
        and when(state["startedAt"]) == row["started_at"]
        and when(state["endedAt"]) == row["ended_at"]
    )


def _judge_traces(stored: Stored, journal: Journal) -> None:
    # Search one long string: thousands of texts in thousands of rows would take minutes.
    everything = json.dumps(stored.texts, ensure_ascii=False)
    for text in journal.forbidden:
        if text in everything:
            journal.violated(Kind.TRACE, f"{text!r} was refused, and is stored")
