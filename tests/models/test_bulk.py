"""Bulk reads and writes produce the same rows as the ORM."""

from datetime import UTC, datetime
from typing import Any

import pytest

from models import ids
from models.database import Connection, reader, transact
from models.repositories import bulk
from models.sort_keys import key_of
from models.tables import Role, Session, SessionStatus, Utterance, UtteranceSource
from tests.rows import add_session, add_user

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def made(session: Session, key: str, text: str, **other: Any) -> Utterance:
    values: dict[str, Any] = {
        "attempt": 2,
        "began_at": NOON,
        "agent_revision": 7,
        "revision": 1,
        "ceiling": 65,
        "seq": 3,
        "role": Role.AGENT,
        "speaker": "mic-1",
        "source": UtteranceSource.SPEECH,
        "text": text,
        "is_final": False,
        "is_interrupted": True,
        "language": "de-CH",
        "confidence": 0.5,
        "started_at": NOON,
        "ended_at": None,
        "awaits_agent": False,
        **other,
    }
    return bulk.unwritten(session.id, key, "80000000048", **values)


def columns(row: Utterance | Session) -> dict[str, object]:
    """Return every stored column of a row with its Python type."""
    names = row._meta.db_fields
    return {name: (type(getattr(row, name)), getattr(row, name)) for name in names}


async def test_a_row_is_written_and_read_with_every_column(url: str) -> None:
    """The ORM reads what a bulk write stored, and a bulk read returns the same row."""
    session = await add_session(await add_user())
    row = made(session, "seg-1", "good evening ✓")

    await transact(lambda conn: bulk.write(conn, [row]))

    stored = await Utterance.get(id=row.id)
    row.number = stored.number
    assert columns(stored) == columns(row)
    found = await bulk.with_keys(reader(), {session.id: ["seg-1"]})
    assert [columns(each) for each in found[session.id]] == [columns(stored)]


async def test_a_row_whose_key_is_there_is_updated(url: str) -> None:
    """An upsert changes text and numbers; the row keeps its id and its place."""
    session = await add_session(await add_user())
    first = made(session, "seg-1", "good even")
    await transact(lambda conn: bulk.write(conn, [first]))

    second = made(session, "seg-1", "good evening", is_final=True, revision=66, ended_at=NOON)
    await transact(lambda conn: bulk.write(conn, [second]))

    [stored] = await Utterance.filter(session_id=session.id)
    assert (stored.id, stored.sort_key, stored.position) == (first.id, "80000000048", 4.5)
    assert (stored.text, stored.is_final, stored.revision) == ("good evening", True, 66)
    assert stored.ended_at == NOON


async def test_keys_are_looked_for_in_their_own_session_only(url: str) -> None:
    """A lookup for several sessions returns each one's own rows and nothing for unknown keys."""
    user = await add_user()
    one, other = await add_session(user, "a", "b"), await add_session(user, "c", "d")

    found = await bulk.with_keys(reader(), {one.id: ["key-0", "none"], other.id: ["key-1"]})

    assert {id_: [row.text for row in rows] for id_, rows in found.items()} == {
        one.id: ["a"],
        other.id: ["d"],
    }


async def test_more_than_one_statement_holds_are_written_and_read(url: str) -> None:
    """Rows are written and read in chunks when they exceed one statement's limit."""
    session = await add_session(await add_user())
    keys = [f"seg-{number}" for number in range(2 * bulk.AT_ONCE + 1)]
    rows = [made(session, key, key, seq=number) for number, key in enumerate(keys)]

    await transact(lambda conn: bulk.write(conn, rows))

    found = await bulk.with_keys(reader(), {session.id: keys})
    assert sorted(row.seq for row in found[session.id]) == list(range(len(keys)))


async def test_sessions_are_locked_with_the_place_of_their_last_words(url: str) -> None:
    """The last place is None for a session without utterances; an unknown id returns no session."""
    user = await add_user()
    spoken, silent = await add_session(user, "a", "b", "c"), await add_session(user)
    wanted = {spoken.id: ["key-1", "none"], silent.id: ["key-1"], ids.new_session(): ["key-1"]}

    found, rows = await transact(lambda conn: bulk.locked_with_keys(conn, wanted))

    assert {id_: [row.text for row in some] for id_, some in rows.items()} == {spoken.id: ["b"]}
    places = {session.id: place for session, place in found}
    assert places == {spoken.id: key_of(2), silent.id: None}
    [read] = [session for session, _ in found if session.id == spoken.id]
    assert columns(read) == columns(await Session.get(id=spoken.id))


async def test_only_the_named_columns_of_a_session_are_written(url: str) -> None:
    """One call can update different columns of several sessions; other columns are not written."""
    user = await add_user()
    one, other = await add_session(user, "a"), await add_session(user, "b")
    one.title, one.last_seq = "Renamed", 9
    other.status, other.drain_by, other.title = SessionStatus.ENDING, NOON, "not written"

    async def work(conn: Connection) -> None:
        await bulk.update_sessions(
            conn, [(one, ("title", "last_seq")), (other, ("status", "drain_by"))]
        )

    await transact(work)

    one, other = await Session.get(id=one.id), await Session.get(id=other.id)
    assert (one.title, one.last_seq, one.status) == ("Renamed", 9, SessionStatus.ENDED)
    assert (other.status, other.drain_by) == (SessionStatus.ENDING, NOON)
    assert other.title == "New Conversation"


@pytest.mark.sqlite
async def test_no_row_is_looked_for_without_an_index(url: str) -> None:
    """Looking up rows by key and the last place uses an index."""
    for statement, marks, count in ((bulk._BY_KEY, "(?, ?)", 2), (bulk._SESSIONS, "?", 1)):
        plan = await reader().execute_query_dict(
            f"EXPLAIN QUERY PLAN {statement.format(marks=marks)}", ["x"] * count
        )
        steps = [str(step["detail"]) for step in plan]
        assert any(step.startswith(("SEARCH u ", "SEARCH utterances ")) for step in steps), steps
        assert not any(step.startswith(("SCAN u", "SCAN sessions")) for step in steps), steps
