"""Statements share trips to SQLite's thread, and a transaction is still all or nothing."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from models import ids
from models.database import (
    Connection,
    IntegrityError,
    OperationalError,
    database_url,
    migrate,
    opened,
    reader,
    settled,
    transact,
)
from models.repositories import bulk
from models.sqlite.client import FEW
from models.tables import User
from tests.dump import dump
from tests.models.test_bulk import made
from tests.rows import add_session, add_user


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the functions sent to SQLite's threads."""
    sent: list[str] = []
    execute: Callable[..., Any] = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, step: Callable[..., Any], *args: Any) -> Any:
        sent.append(step.__name__)
        return await execute(self, step, *args)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
    return sent


@pytest.mark.sqlite
async def test_a_commit_of_what_was_said_takes_two_trips(url: str, trips: list[str]) -> None:
    """One trip locks and reads, one writes and syncs, for any number of sessions."""
    user = await add_user()
    sessions = [await add_session(user, "a") for _ in range(3)]
    trips.clear()

    async def work(conn: Connection) -> None:
        await bulk.locked_with_keys(conn, {session.id: ["key-0"] for session in sessions})
        await bulk.update_sessions(conn, [(sessions[0], ("title",)), (sessions[1], ("last_seq",))])
        await bulk.write(conn, [made(session, "new", "new", seq=9) for session in sessions])

    await transact(work)

    assert len(trips) == 2, trips
    for session in sessions:
        found = await bulk.with_keys(reader(), {session.id: ["new"]})
        assert [row.text for row in found[session.id]] == ["new"]


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
async def test_rows_are_there_for_the_next_statement(url: str, count: int) -> None:
    """Queued rows are visible to later statements, including the ORM's, which take another path."""
    session = await add_session(await add_user())
    rows = [made(session, f"key-{number}", "said", seq=number) for number in range(count)]

    async def work(conn: Connection) -> list[int]:
        await bulk.write(conn, rows)
        query = "SELECT count(*) AS number FROM utterances"
        first = (await conn.execute_query_dict(query))[0]["number"]
        await conn.execute_many("DELETE FROM utterances WHERE key = ?", [["key-0"]])
        await User.create(using_db=conn)
        changed, _ = await conn.execute_query("UPDATE utterances SET text = 'seen'")
        return [first, changed]

    assert await transact(work) == [count, count - 1]


async def test_a_row_that_is_refused_undoes_the_transaction(url: str) -> None:
    """The refused row surfaces only at commit, with the error that a statement would raise."""
    nowhere = await add_session(await add_user())
    nowhere.id = ids.new_session()
    before = await dump()

    async def work(conn: Connection) -> None:
        await User.create(using_db=conn)
        await bulk.write(conn, [made(nowhere, "key", "said", seq=1)])

    with pytest.raises(IntegrityError, match=r"(?i)foreign key constraint"):
        await transact(work)
    assert await dump() == before
    await add_user()


async def test_who_passes_over_a_refused_row_still_commits_nothing(url: str) -> None:
    """Suppressing the error inside the transaction does not commit the other writes."""
    nowhere = await add_session(await add_user())
    nowhere.id = ids.new_session()
    before = await dump()

    async def work(conn: Connection) -> None:
        await bulk.write(conn, [made(nowhere, "key", "said", seq=1)])
        with suppress(IntegrityError):
            await User.create(using_db=conn)

    with pytest.raises(IntegrityError):
        await transact(work)
    assert await dump() == before


async def test_nothing_is_written_outside_a_transaction_that_could_not_begin(
    tmp_path: Path,
) -> None:
    """This holds even if the work continues after its first statement failed."""
    await migrate(database_url(tmp_path))
    other = sqlite3.connect(tmp_path / "voxql.db", isolation_level=None)
    async with opened(database_url(tmp_path) + "?busy_timeout=10"):

        async def work(conn: Connection) -> None:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OperationalError, match="locked"):
                await User.create(using_db=conn)
            other.execute("ROLLBACK")
            await User.create(using_db=conn)
            raise LookupError

        with pytest.raises(LookupError):
            await transact(work)
        assert await User.all().using_db(reader()).count() == 0
    other.close()


async def test_a_savepoint_takes_back_what_came_after_it_and_no_more(url: str) -> None:
    """Queued rows belong to the savepoint in which they were written."""
    session = await add_session(await add_user())

    async def work(conn: Connection) -> None:
        await bulk.write(conn, [made(session, "before", "said", seq=1)])
        with suppress(LookupError):
            async with conn._in_transaction() as inner:
                await bulk.write(inner, [made(session, "inside", "said", seq=2)])
                raise LookupError
        await bulk.write(conn, [made(session, "after", "said", seq=3)])

    await transact(work)

    found = await bulk.with_keys(reader(), {session.id: ["before", "inside", "after"]})
    assert sorted(row.key for row in found[session.id]) == ["after", "before"]


async def test_bulk_writers_that_are_cancelled_leave_all_or_nothing(url: str) -> None:
    """Fifty writers are cancelled at different moments, before or in SQLite's thread."""
    session = await add_session(await add_user())

    async def work(number: int, conn: Connection) -> None:
        for key in ("one", "two"):
            await bulk.write(conn, [made(session, f"{key}-{number}", "said", seq=1)])
            await conn.execute_query_dict("SELECT 1")

    for number in range(50):
        async with asyncio.TaskGroup() as group:
            caller = group.create_task(transact(partial(work, number)))
            for _ in range(number):
                await asyncio.sleep(0)
            caller.cancel()
    await settled()
    await add_user()
    keys = [f"{key}-{number}" for number in range(50) for key in ("one", "two")]
    found = await bulk.with_keys(reader(), {session.id: keys})
    assert len(found[session.id]) % 2 == 0
