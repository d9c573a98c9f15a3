"""How the database is opened, and what a transaction guarantees."""

import asyncio
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from models.database import (
    Connection,
    NotStored,
    OperationalError,
    database_url,
    migrate,
    opened,
    reader,
    settled,
    transact,
    transact_later,
)
from models.engine import CannotUse, NotAvailable
from models.repositories import sessions
from models.tables import Session, User
from tests.dump import dump
from tests.rows import START, add_session, add_user, utterance


async def _pragma(conn: Connection, name: str) -> object:
    rows = await conn.execute_query_dict(f"PRAGMA {name}")
    return next(iter(rows[0].values()))


@pytest.mark.sqlite
async def test_the_pragmas_are_those_that_an_acknowledgement_relies_on(url: str) -> None:
    """Commits are synced, foreign keys are enforced, and the reader connection can't write."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}

    async def read(conn: Connection) -> dict[str, object]:
        return {name: await _pragma(conn, name) for name in [*wanted, "query_only"]}

    assert await transact(read) == {**wanted, "query_only": 0}
    assert await read(reader()) == {**wanted, "query_only": 1}


@pytest.mark.sqlite
async def test_only_the_owner_can_read_the_files(url: str, tmp_path: Path) -> None:
    """Other users of the machine can read neither the folder nor its files."""
    await add_user()
    folder = tmp_path / "data"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert modes == {"voxql.db": "0o600", "voxql.db-shm": "0o600", "voxql.db-wal": "0o600"}
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_path_may_hold_what_means_something_in_a_url(tmp_path: Path) -> None:
    """A folder name may contain characters that are special in a URL."""
    folder = tmp_path / "a b#c?%20"
    await migrate(database_url(folder))
    assert (folder / "voxql.db").is_file()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://localhost", "must name a database, as in postgres://user:password@"),
        ("postgresql://localhost:port/voxql", "can't be read"),
        ("asyncpg://localhost/voxql", "or postgres://user:password@host/voxql"),
        ("mysql://localhost/voxql", "must look like sqlite:///path/to/voxql.db"),
        ("voxql.db", "must look like sqlite:///path/to/voxql.db"),
        ("sqlite://", "must name a file"),
        ("sqlite://:memory:", "must name a file"),
        ("sqlite:///a.db?sychronous=OFF", "unknown option 'sychronous'"),
    ],
)
async def test_a_url_that_can_not_be_used_is_refused_in_words(url: str, said: str) -> None:
    """The message names the setting and gives the expected form."""
    with pytest.raises(CannotUse, match="VOXQL_DATABASE_URL") as refusal:
        async with opened(url):
            pass
    assert said in str(refusal.value)


async def test_a_pragma_in_the_url_wins(tmp_path: Path) -> None:
    """The URL can override a pragma, for example to reduce syncing."""
    url = database_url(tmp_path) + "?synchronous=NORMAL"
    async with opened(url):
        assert await transact(lambda conn: _pragma(conn, "synchronous")) == 1


async def test_what_the_work_raises_rolls_back_and_comes_through(url: str) -> None:
    """The caller gets the original exception, and the database is unchanged."""
    before = await dump()
    error = LookupError("mine")

    async def work(conn: Connection) -> None:
        await User.create(using_db=conn)
        raise error

    with pytest.raises(LookupError) as raised:
        await transact(work)
    assert raised.value is error
    assert await dump() == before
    await add_user()


async def test_a_cancelled_caller_leaves_a_whole_transaction(url: str) -> None:
    """The transaction runs on to its commit, and the next writer is not locked out."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def work(conn: Connection) -> None:
        await User.create(using_db=conn)
        entered.set()
        await go_on.wait()
        await User.create(using_db=conn)

    caller = asyncio.create_task(transact(work))
    await entered.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await settled()
    assert await User.all().using_db(reader()).count() == 2
    await add_user()


async def test_cancelling_writers_at_any_moment_leaves_no_lock_behind(url: str) -> None:
    """Fifty callers are cancelled, each a step later; every transaction is all or nothing."""

    async def work(conn: Connection) -> None:
        await User.create(using_db=conn)
        await User.create(using_db=conn)

    for steps in range(50):
        caller = asyncio.create_task(transact(work))
        for _ in range(steps):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    await settled()
    assert await User.all().using_db(reader()).count() % 2 == 0
    await add_user()


async def test_a_database_that_stays_locked_is_an_error_and_not_a_deadlock(tmp_path: Path) -> None:
    """If another process holds the write lock too long, the call fails; a later one succeeds."""
    await migrate(database_url(tmp_path))
    other = sqlite3.connect(tmp_path / "voxql.db", isolation_level=None)
    async with opened(database_url(tmp_path) + "?busy_timeout=10"):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotStored, match="another process keeps it locked"):
            await add_user()
        other.execute("ROLLBACK")
        other.close()
        await add_user()


async def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    """While a transaction is open, a reader sees the state before it."""

    async def work(conn: Connection) -> int:
        await User.create(using_db=conn)
        return await User.all().using_db(reader()).count()

    assert await transact(work) == 0
    assert await User.all().using_db(reader()).count() == 1


async def test_the_reader_can_not_write(url: str) -> None:
    """A write on the reader connection fails instead of bypassing the transaction."""
    with pytest.raises((OperationalError, NotAvailable), match=r"readonly|only be read"):
        await User.create(using_db=reader())


async def test_transactions_do_not_nest(url: str) -> None:
    """A nested transaction raises, because it would wait for itself."""

    async def work(conn: Connection) -> None:
        await transact(lambda inner: User.create(using_db=inner))

    with pytest.raises(RuntimeError, match=r"transact\(\) inside transact\(\)"):
        await transact(work)


async def test_rows_in_bulk_are_written_in_a_transaction_only(url: str) -> None:
    """A bulk write outside transact() raises; a cancelled caller would leave it open."""
    with pytest.raises(RuntimeError, match="inside models"):
        await User.bulk_create([User(), User()])


async def test_a_later_transaction_that_fails_is_only_logged(url: str) -> None:
    """No caller waits for it, so its exception can't be caught."""

    async def work(conn: Connection) -> None:
        raise LookupError("unheard")

    transact_later(work)
    await settled()
    assert (await dump())["users"] == []


async def test_leaving_waits_for_what_runs(tmp_path: Path) -> None:
    """Closing the database waits until running transactions are committed."""
    url = database_url(tmp_path)
    await migrate(url)
    async with opened(url):
        transact_later(lambda conn: User.create(using_db=conn))
    async with opened(url):
        assert await User.all().using_db(reader()).count() == 1


@pytest.mark.sqlite
async def test_times_are_kept_in_utc_and_compare_as_text(url: str) -> None:
    """A time in any zone is stored as the same moment in UTC, to the microsecond."""
    user = await add_user()
    moment = datetime(2026, 11, 1, 17, 0, 0, 0, timezone(timedelta(hours=5)))
    session = await add_session(user, "hello", at=moment)
    rows = (await dump())["sessions"]
    assert rows[0]["created_at"] == "2026-11-01 12:00:00.000000+00:00"
    read = await Session.filter(id=session.id).using_db(reader()).get()
    assert read.created_at == moment == START


async def test_a_locked_session_is_read_with_its_tombstone(url: str) -> None:
    """locked_session() returns deleted sessions too, and None for an unknown id."""
    session = await add_session(await add_user(), "hello")

    async def bury(conn: Connection) -> None:
        locked = await sessions.locked(conn, session.id)
        assert locked is not None
        locked.deleted_at = START
        await locked.save(using_db=conn)

    await transact(bury)
    again = await transact(lambda conn: sessions.locked(conn, session.id))
    assert again is not None
    assert again.deleted_at == START
    assert await transact(lambda conn: sessions.locked(conn, "ses_unknown")) is None


async def test_a_key_is_unique_in_its_session(url: str) -> None:
    """The database itself enforces the uniqueness that resends rely on."""
    session = await add_session(await add_user(), "hello")
    before = await dump()
    with pytest.raises(Exception, match=r"(?i)unique constraint"):
        await transact(lambda conn: utterance(session, 0, "again").save(using_db=conn))
    assert await dump() == before


async def test_another_process_that_leaves_takes_no_words_with_it(tmp_path: Path) -> None:
    """A second process that closes the database does not delete the log still being written.

    Otherwise a backup, `voxql user …` or an sqlite3 shell would lose every later utterance.
    """
    await migrate(database_url(tmp_path))
    count = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        "print(connection.execute('SELECT count(*) FROM users').fetchone()[0]); connection.close()"
    )

    def counted_elsewhere() -> str:
        command = [sys.executable, "-c", count, str(tmp_path / "voxql.db")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    async with opened(database_url(tmp_path)):
        await add_user()
        assert counted_elsewhere() == "1"
        await add_user()
        assert counted_elsewhere() == "2"
