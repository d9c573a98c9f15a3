"""A large history, cached: 100,000 conversations of one user, with a million utterances.

Written with plain SQL, because the ORM would take minutes. The search index is filled at the end,
with its migration's own statement.
"""

import asyncio
import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import track

from bench.equipment.processes import ROOT
from bench.equipment.stage import AGENT, Stage, set_up
from bench.saving import connected
from bench.sizes import Sizes
from models import ids, sort_keys
from models.sqlite.search import FILL, with_tokens
from resolvers.viewer import TokenScope, Viewer

RARE: Final = "marmalade"
"""A word in one of a thousand utterances."""
COMMON: Final = "harbour"
"""A word in one of twenty."""

_NEWEST: Final = datetime(2026, 10, 1, 12, tzinfo=UTC)
_APART: Final = timedelta(minutes=10)
_BATCH: Final = 1_000
_WORDS: Final = (
    "and then we went down to the river to see boats come in from far away while evening light "
    "was falling slowly over old town where people gathered near market stalls talking about "
    "weather music bread money trains letters gardens children doctors teachers stories songs"
)
_VOCABULARY: Final = _WORDS.split()

_SESSION: Final = """
INSERT INTO sessions (
    id, user_id, title, status, agent_name, created_at, started_at, ended_at, end_reason,
    utterance_count, preview, preview_sort_key, version, last_seq, room_name, attempt
) VALUES (?, ?, ?, 'ENDED', ?, ?, ?, ?, 'SAVED', ?, ?, '8000000001', 3, ?, ?, 1)"""
_UTTERANCE: Final = """
INSERT INTO utterances (
    id, session_id, key, agent_revision, revision, ceiling, seq, role, source, text, is_final,
    is_interrupted, sort_key, position, started_at, awaits_agent
) VALUES (?, ?, ?, 9, 10, 10, ?, ?, 'SPEECH', ?, 1, 0, ?, ?, ?, 0)"""


def large_history(sizes: Sizes, cache: Path, console: Console) -> Stage:
    """Return a folder with the history: the cached one, if it was made from the same inputs."""
    kept = cache / f"history-{_fingerprint(sizes)}"
    note = "stage.json"
    if not kept.exists():
        draft = cache / f"{kept.name}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        with asyncio.Runner() as runner:
            made = runner.run(set_up(draft, 0))
        _fill(made, sizes, console)
        known = {"user": made.viewer.user_id, "token": made.viewer.token_id, "secret": made.secret}
        (draft / note).write_text(json.dumps(known))
        draft.rename(kept)
    return _stage(kept, json.loads((kept / note).read_text()))


def _stage(folder: Path, known: Any) -> Stage:
    viewer = Viewer(known["user"], True, None, known["token"], frozenset(TokenScope), None)
    return Stage(folder, viewer, known["secret"], [])


def _fingerprint(sizes: Sizes) -> str:
    made_of = [Path(__file__), *sorted((ROOT / "models" / "migrations").glob("*.py"))]
    digest = hashlib.sha256(f"{sizes.history_sessions} {sizes.history_utterances}".encode())
    for path in made_of:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _fill(stage: Stage, sizes: Sizes, console: Console) -> None:
    rng = random.Random(20261122)
    begins = range(0, sizes.history_sessions, _BATCH)
    with _without_triggers(stage.folder / "voxql.db") as conn:
        conn.execute("BEGIN")
        for begin in track(begins, "writing a large history, once", console=console):
            numbers = range(begin, min(begin + _BATCH, sizes.history_sessions))
            _write(conn, stage.viewer.user_id, numbers, sizes, rng)
        conn.execute("COMMIT")
        with console.status("filling its search index"):
            with_tokens(conn)
            conn.execute(FILL, (0, 2**62))
            conn.execute("ANALYZE")


def _write(
    conn: sqlite3.Connection, user_id: str, numbers: range, sizes: Sizes, rng: random.Random
) -> None:
    sessions, utterances = [], []
    count = sizes.history_utterances
    for number in numbers:
        began = _NEWEST - _APART * (sizes.history_sessions - number)
        moment = began.isoformat(" ", "microseconds")
        session_id = ids.new_session()
        texts = [_text(rng) for _ in range(count)]
        sessions.append(
            (
                session_id,
                user_id,
                f"Conversation {number}",
                AGENT,
                moment,
                moment,
                (began + timedelta(minutes=5)).isoformat(" ", "microseconds"),
                count,
                texts[0],
                count,
                f"history-{number}",
            )
        )
        utterances += [
            (
                ids.new_utterance(),
                session_id,
                f"seg-{place}",
                place + 1,
                "AGENT" if place % 2 else "USER",
                text,
                sort_keys.key_of(place + 1),
                float(place + 1),
                moment,
            )
            for place, text in enumerate(texts)
        ]
    conn.executemany(_SESSION, sessions)
    conn.executemany(_UTTERANCE, utterances)


def _text(rng: random.Random) -> str:
    words = rng.choices(_VOCABULARY, k=10)
    if rng.random() < 0.001:
        words[3] = RARE
    if rng.random() < 0.05:
        words[6] = COMMON
    return " ".join(words)


@contextmanager
def _without_triggers(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for fast writes: without durability, and without its search triggers."""
    conn = connected(database)
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("PRAGMA cache_size = -400000")
    triggers = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        conn.execute(f"DROP TRIGGER {name}")
    yield conn
    for _, sql in triggers:
        conn.execute(sql)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
