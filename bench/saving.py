"""(c) The cost of saving a conversation, compared with bare INSERTs, and others' wait for it."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from asgi import build_app
from bench.equipment.asking import BenchClient
from bench.equipment.processes import served
from bench.equipment.stage import Stage, set_up
from bench.figures import Aim, Figure
from bench.sizes import Sizes
from models import ids, sort_keys
from models.database import opened
from models.tables import Role
from resolvers.backend import Backend
from resolvers.sessions.saving import Message
from settings import load

MUTATION: Final = """
mutation SaveSession($input: SaveSessionInput!) {
  saveSession(input: $input) {
    isSaved createdCount conflicts { index } session { id status endedAt utteranceCount preview }
  }
}"""
RAW: Final = "sqlite3, same tables and durability"

_TEXT: Final = "and then we went down to the river to see the boats come in"
_BEGAN: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
_INSERT: Final = """
INSERT INTO utterances (
    id, session_id, key, revision, ceiling, seq, role, source, text, is_final, is_interrupted,
    sort_key, position, started_at, awaits_agent
) VALUES (?, ?, ?, 1, 1, ?, ?, 'CLIENT_REPORTED', ?, 1, 0, ?, ?, ?, 0)"""
_FINISH: Final = """
UPDATE sessions SET status = 'ENDED', end_reason = 'SAVED', ended_at = ?, utterance_count = ?,
    last_seq = ?, preview = ?, preview_sort_key = '8000000001', version = version + 1
WHERE id = ?"""


def saving(sizes: Sizes, folder: Path) -> list[Figure]:
    """(c) Save the same messages by raw SQL, by the use case, and through the whole server."""
    with asyncio.Runner() as runner:
        return runner.run(_measured(sizes, folder))


async def _measured(sizes: Sizes, folder: Path) -> list[Figure]:
    raw_, case_, server_ = [
        await set_up(folder / name, sizes.saves + 2) for name in ("raw", "case", "server")
    ]
    raw, case, through = [], [], []
    conn = connected(raw_.folder / "voxql.db")
    backend: Backend = build_app(load(data_dir=case_.folder, agent="external")).state.backend
    async with opened(case_.url):
        with (
            served("voxql", server_.folder) as server,
            BenchClient(server.port, server_.secret) as client,
            BenchClient(server.port, server_.secret) as other,
        ):
            for number in range(sizes.saves + 1):
                raw.append(_insert(conn, raw_.session_ids[number], sizes.messages))
                case.append(await _call(backend, case_, number, sizes.messages))
                through.append(save(client, server_.session_ids[number], sizes.messages))
            longest = _longest_wait(client, other, server_.session_ids[-1], sizes.many_messages)
    conn.close()
    # The first of each was a warm-up.
    raw, case, through = raw[1:], case[1:], through[1:]
    count = f"{sizes.messages:,} messages"
    many = f"longest wait of others while {sizes.many_messages:,} are saved"
    return [
        Figure("c", f"{count}, through GraphQL over HTTP", "ms", through, RAW, raw, _AIM),
        Figure("c", f"{count}, the use case alone", "ms", case, RAW, raw, _AIM),
        Figure("c", many, "ms", [longest], aim=Aim(1_000.0)),
    ]


_AIM: Final = Aim(3.0, of_ratio=True)


def connected(path: Path) -> sqlite3.Connection:
    """Open a database with the pragmas of VoxQL's own writer."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("PRAGMA temp_store = MEMORY")
    return conn


def _insert(conn: sqlite3.Connection, session_id: str, count: int) -> float:
    now = datetime.now(UTC).isoformat(" ", "microseconds")
    rows = [
        (
            ids.new_utterance(),
            session_id,
            f"message-{number}",
            number + 1,
            "AGENT" if number % 2 else "USER",
            f"{_TEXT} {number}",
            sort_keys.key_of(number + 1),
            float(number + 1),
            (_BEGAN + timedelta(seconds=number)).isoformat(" ", "microseconds"),
        )
        for number in range(count)
    ]
    begin = time.perf_counter()
    conn.execute("BEGIN IMMEDIATE")
    conn.executemany(_INSERT, rows)
    conn.execute(_FINISH, (now, count, count, f"{_TEXT} 0", session_id))
    conn.execute("COMMIT")
    return 1e3 * (time.perf_counter() - begin)


async def _call(backend: Backend, stage: Stage, number: int, count: int) -> float:
    messages = [
        Message(
            f"message-{place}",
            Role.AGENT if place % 2 else Role.USER,
            f"{_TEXT} {place}",
            _BEGAN + timedelta(seconds=place),
        )
        for place in range(count)
    ]
    begin = time.perf_counter()
    saved = await backend.saving.save_session(stage.viewer, stage.session_ids[number], messages)
    took = 1e3 * (time.perf_counter() - begin)
    assert saved.created_count == count
    return took


def _longest_wait(client: BenchClient, other: BenchClient, session_id: str, count: int) -> float:
    """Ping the server repeatedly while a long conversation is saved; return the longest wait."""
    saving = threading.Thread(target=save, args=(client, session_id, count))
    waits = [other.ping()]
    saving.start()
    while saving.is_alive():
        waits.append(other.ping())
        time.sleep(0.002)
    saving.join()
    return max(waits)


def save(client: BenchClient, session_id: str, count: int) -> float:
    """Save so many messages through the server; return the milliseconds."""
    messages: Sequence[dict[str, Any]] = [
        {
            "key": f"message-{number}",
            "role": "AGENT" if number % 2 else "USER",
            "text": f"{_TEXT} {number}",
            "timestamp": (_BEGAN + timedelta(seconds=number)).isoformat(),
        }
        for number in range(count)
    ]
    data, took = client.ask(MUTATION, {"input": {"sessionId": session_id, "messages": messages}})
    assert data["saveSession"]["createdCount"] == count, data
    return took
