"""Migrations create the declared tables, run once across processes, and lose no rows."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget
from tortoise.transactions import in_transaction
from tortoise.utils import generate_schema_for_client

from models import database
from models.database import database_url, migrate, opened
from models.engines import engine_of
from models.sort_keys import number_of
from models.sqlite.engine import SqliteEngine
from models.sqlite.search import with_tokens
from models.tables import Session, Utterance
from tests.dump import dump
from tests.rows import add_session, add_sessions, add_user

ALL = [
    "0001_initial",
    "0002_search",
    "0003_places_by_time",
    "0004_search_in_every_script",
    "0005_sort_keys",
    "0006_titles",
    "0007_tombstone_deadlines",
    "0008_several_processes",
]


def _schema(path: Path) -> dict[str, object]:
    """Return tables and indexes, ignoring column order: later columns may be placed differently."""
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        found: dict[str, object] = {}
        for name, sql in names.fetchall():
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            keys = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
            found[name] = (
                {column[1:] for column in columns},
                {key[2:] for key in keys},
                sorted((index[2:], _columns(connection, index[1])) for index in indexes),
                sql if not columns else None,
            )
    connection.close()
    return {
        name: made
        for name, made in found.items()
        if not name.startswith(("utterance_search", "title_search", "sqlite_", "tortoise_"))
    }


def _copy_rows(newest: Path, old: Path) -> None:
    """Copy a new database's rows into an older version's, for the columns that both have."""
    with sqlite3.connect(old) as connection:
        with_tokens(connection)
        connection.execute("ATTACH ? AS newest", [str(newest)])
        for table in ("users", "sessions", "utterances"):
            names = ", ".join(
                row[0]
                for row in connection.execute(
                    "SELECT name FROM pragma_table_info(:table, 'main')"
                    " INTERSECT SELECT name FROM pragma_table_info(:table, 'newest')",
                    {"table": table},
                ).fetchall()
            )
            connection.execute(
                f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newest.{table}"
            )
    connection.close()


async def migrated_to(url: str, name: str) -> None:
    """Create a database at an older migration."""
    with TortoiseContext() as context:
        config = database.configuration(engine_of(url))
        await context.init(config)
        async with in_transaction("default") as conn:
            await MigrationExecutor(conn, config["apps"]).migrate([MigrationTarget("models", name)])
        await context.close_connections()


def _columns(connection: sqlite3.Connection, index: str) -> list[str]:
    return [row[2] for row in connection.execute(f"PRAGMA index_info({index})").fetchall()]


async def test_a_migrated_database_has_the_declared_tables(tmp_path: Path) -> None:
    """A model change without a migration fails here."""
    await migrate(database_url(tmp_path / "migrated"))
    with TortoiseContext() as context:
        await context.init(database.configuration(engine_of(database_url(tmp_path / "declared"))))
        await generate_schema_for_client(context.connections.get("default"), safe=False)
        await context.close_connections()
    migrated = _schema(tmp_path / "migrated" / "voxql.db")
    assert len(migrated) > 6
    assert migrated == _schema(tmp_path / "declared" / "voxql.db")


async def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    """A second run applies nothing and keeps every row."""
    url = database_url(tmp_path)
    assert await migrate(url) == ALL
    async with opened(url):
        await add_session(await add_user("ada@example.com"), "Hello.", "Good morning.")
        before = await dump()
    assert await migrate(url) == []
    async with opened(url):
        assert await dump() == before


async def test_what_was_said_before_there_was_a_search_is_found_by_it(tmp_path: Path) -> None:
    """The migration that creates the search index fills it and changes no row."""
    url = database_url(tmp_path)
    await migrated_to(url, "0001_initial")
    other = database_url(tmp_path / "newest")
    await migrate(other)
    async with opened(other):
        await add_session(await add_user(), "Hello.", "Good morning.")
    _copy_rows(tmp_path / "newest" / "voxql.db", tmp_path / "voxql.db")
    async with opened(url):
        before = await dump()
    assert await migrate(url) == ALL[1:]
    async with opened(url):
        after = await dump()
        found = await database.reader().execute_query_dict(
            "SELECT rowid FROM utterance_search WHERE utterance_search MATCH 'morning'"
        )
    for table in ("users", "sessions", "utterances"):
        # Later columns are empty, and one column was dropped.
        rows = zip(before[table], after[table], strict=True)
        kept = ({name: old[name] for name in old.keys() & new.keys()} for old, new in rows)
        assert all(old.items() <= new.items() for old, new in zip(kept, after[table], strict=True))
    assert [row["rowid"] for row in found] == [2]


async def test_places_stay_when_they_become_keys(tmp_path: Path) -> None:
    """Rows keep their order, by position and then by id, and previews keep their place."""
    url = database_url(tmp_path)
    await migrated_to(url, "0004_search_in_every_script")
    other = database_url(tmp_path / "newest")
    await migrate(other)
    async with opened(other):
        user = await add_user()
        sessions = [await add_session(user, *["Hello."] * 40) for _ in range(3)]
    _copy_rows(tmp_path / "newest" / "voxql.db", tmp_path / "voxql.db")
    with sqlite3.connect(tmp_path / "voxql.db") as connection:
        connection.execute("UPDATE utterances SET position = (number * 7 % 13) / 4.0 - 1")
        order = connection.execute(
            "SELECT session_id, id FROM utterances ORDER BY session_id, position, id"
        ).fetchall()
        connection.execute(
            "UPDATE sessions SET preview_position ="
            " (SELECT min(position) FROM utterances WHERE session_id = sessions.id) WHERE id <> ?",
            [sessions[0].id],
        )
    connection.close()

    assert await migrate(url) == ALL[4:]

    async with opened(url):
        rows = await Utterance.all().order_by("session_id", "sort_key")
        assert [(row.session_id, row.id) for row in rows] == order
        assert len({(row.session_id, row.sort_key) for row in rows}) == len(rows)
        assert all(number_of(row.sort_key) == row.position for row in rows)
        silent, *others = [await Session.get(id=session.id) for session in sessions]
        assert silent.preview_sort_key is None
        for session in others:
            first = next(row for row in rows if row.session_id == session.id)
            assert session.preview_sort_key == first.sort_key


async def test_tombstones_keep_their_deadlines(tmp_path: Path) -> None:
    """What a deletion from before still has to do moves to columns of its own."""
    url, other = database_url(tmp_path), database_url(tmp_path / "newest")
    await migrated_to(url, "0006_titles")
    await migrate(other)
    async with opened(other):
        user = await add_user()
        alive, deleted = await add_sessions(user, [["Hello."], ["Bye."]])
        due = {"retry_by": alive.created_at, "drain_by": deleted.created_at}
        await Session.all().update(**due)
        await Session.filter(id=deleted.id).update(deleted_at=deleted.created_at)
    _copy_rows(tmp_path / "newest" / "voxql.db", tmp_path / "voxql.db")

    assert await migrate(url) == ALL[6:]

    async with opened(url):
        alive, deleted = [await Session.get(id=one.id) for one in (alive, deleted)]
    assert (alive.retry_by, alive.drain_by) == (due["retry_by"], due["drain_by"])
    assert (alive.purge_by, alive.tell_by) == (None, None)
    assert (deleted.purge_by, deleted.tell_by) == (due["retry_by"], due["drain_by"])
    assert (deleted.retry_by, deleted.drain_by) == (None, None)


async def test_conversations_from_before_get_titles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Titles come from the user's first usable final text; deleted sessions get none."""
    monkeypatch.setattr("models.openings.AT_ONCE", 2)
    url, other = database_url(tmp_path), database_url(tmp_path / "newest")
    await migrated_to(url, "0004_search_in_every_script")
    await migrate(other)
    async with opened(other):
        user = await add_user()
        conversations: list[list[str]] = [
            ["what time is it?", "Half past five."],
            ["…", "Good morning.", "is it raining?", "No.", "thank you"],
            ["?!", "Pardon?"],
            [],
            ["a private word"],
        ]
        sessions = await add_sessions(user, conversations)
        await Session.filter(id=sessions[-1].id).update(deleted_at=sessions[-1].created_at)
    _copy_rows(tmp_path / "newest" / "voxql.db", tmp_path / "voxql.db")

    await migrate(url)

    async with opened(url):
        rows = {row.id: row for row in await Session.all()}
        given = await Utterance.filter(text__in=["what time is it?", "is it raining?"])
    found = [(rows[one.id].shown_title, rows[one.id].opening_sort_key) for one in sessions]
    first, second = sorted(row.sort_key for row in given)
    assert found[:2] == [("What time is it?", first), ("Is it raining?", second)]
    assert found[2:] == [("New Conversation", None)] * 3


async def test_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    """Of four processes started together, one applies the migrations and all four succeed."""
    code = (
        "import asyncio, sys; from models.database import migrate; "
        "print(*asyncio.run(migrate(sys.argv[1])))"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", code, database_url(tmp_path), stdout=-1, stderr=-1
        )
        for _ in range(4)
    ]
    outputs = await asyncio.gather(*(process.communicate() for process in processes))
    assert [error for _, error in outputs] == [b""] * 4
    applied = sorted(output.decode().split() for output, _ in outputs)
    assert applied == [[], [], [], ALL]


async def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed migration leaves neither a partial schema nor a record of having been applied."""

    async def fail(self: SqliteEngine, conn: database.Connection) -> None:
        raise RuntimeError("orphans")

    url = database_url(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteEngine, "finish_migration", fail)
        with pytest.raises(RuntimeError, match="orphans"):
            await migrate(url)
    assert _schema(tmp_path / "voxql.db") == {}
    assert await migrate(url) == ALL


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """An older program refuses the database instead of writing to tables it does not know."""
    url = database_url(tmp_path)
    await migrate(url)
    with sqlite3.connect(tmp_path / "voxql.db") as connection:
        connection.execute(
            "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '9999_x', 0)"
        )
    connection.close()
    with pytest.raises(RuntimeError, match="made by a newer version of VoxQL: it has 9999_x"):
        await migrate(url)
