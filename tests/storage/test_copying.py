"""`voxql copy-database` moves everything to another kind of database and back."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.copying import Copied, copy_database
from models.database import Connection, database_url, engine, migrate, opened, reader, transact
from models.engine import CannotUse
from models.repositories.history import HistoryQuery
from models.search.parsing import parse
from models.sqlite.process_lock import sole_process
from models.tables import ApiToken, IdempotencyRecord, Login, User, Utterance
from tests.dump import dump
from tests.faults.servers.server import CrashingServer
from tests.faults.servers.stage import stage
from tests.programs.postgres import EmptyDatabase
from tests.programs.server_process import ROOT
from tests.rows import START, add_session, add_sessions, add_user

Rows = dict[str, list[dict[str, Any]]]


async def filled(folder: Path) -> str:
    """Create a SQLite database with rows in every table; return its URL."""
    url = database_url(folder)
    await migrate(url)
    async with opened(url):
        ada, bob = await add_user("ada@example.org", "hash"), await add_user()
        await add_sessions(
            ada, [[f"line {n} of {m}, 今天天气很好" for n in range(3)] for m in range(9)]
        )
        await add_session(bob, "a guest's line", at=START + timedelta(microseconds=1))

        async def more(conn: Connection) -> None:
            whose: dict[str, Any] = {"user_id": ada.id, "using_db": conn}
            await Login.create(secret_hash="a", created_at=START, expires_at=START, **whose)
            scopes = ["SESSIONS_READ", "SESSIONS_WRITE"]
            await ApiToken.create(name="ü", secret_hash="b", prefix="vox_", scopes=scopes, **whose)
            outcome = {"id": "ses_1", "count": 2}
            await IdempotencyRecord.create(key="k", request_hash="c", outcome=outcome, **whose)

        await transact(more)
    return url


async def contents(url: str) -> Rows:
    """Read all rows, with values that are the same on each kind of database."""
    async with opened(url):
        return {
            table: [{name: _same(name, value) for name, value in row.items()} for row in rows]
            for table, rows in (await dump()).items()
            if table != "tortoise_migrations"
        }


def _same(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith(("_at", "_by", "_until")):
        return engine().moment(value)
    if name in ("scopes", "outcome"):
        return value.replace(" ", "")
    return bool(value) if name.startswith(("is_", "awaits_")) else value


def counted(tables: Sequence[Copied]) -> dict[str, tuple[int, int]]:
    return {table.table: (table.rows, table.found) for table in tables}


async def test_everything_goes_to_postgresql_and_back(
    tmp_path: Path, postgres: EmptyDatabase
) -> None:
    """All rows are the same, also after the way back; both find the same words."""
    url = await filled(tmp_path / "first")
    before = await contents(url)
    there = await postgres.url()

    tables = await copy_database(url, there)
    back = database_url(tmp_path / "second")
    await copy_database(there, back)

    assert counted(tables) == {
        "users": (2, 0),
        "logins": (1, 0),
        "api_tokens": (1, 0),
        "idempotency_records": (1, 0),
        "sessions": (10, 0),
        "utterances": (28, 0),
    }
    assert await contents(there) == before == await contents(back)
    assert len(before["utterances"]) == 28
    for each in (url, there, back):
        async with opened(each):
            ada = await User.get(email="ada@example.org", using_db=reader())
            found = await HistoryQuery(ada.id, parse("天气 line", ada.id)).count(reader())
            assert found == 9


async def test_new_rows_follow_the_copied_ones(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """The database assigns numbers that are not taken."""
    url = await filled(tmp_path)
    there = await postgres.url()
    await copy_database(url, there)
    async with opened(there):
        user = await User.get(email__isnull=True, using_db=reader())
        await add_session(user, "new")
        numbers = await Utterance.all().using_db(reader()).values_list("number", flat=True)
    assert len(set(numbers)) == 29


async def test_an_interrupted_copy_continues(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """What is there is compared, and the rest is added."""
    url = await filled(tmp_path)
    there = await postgres.url()

    def stop(table: str, done: int, total: int) -> None:
        if table == "utterances":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy_database(url, there, stop)
    await postgres.server.execute(
        "DELETE FROM sessions WHERE id = (SELECT max(id) FROM sessions)", postgres.name
    )
    again = counted(await copy_database(url, there))

    assert again["users"] == (2, 2)
    assert again["sessions"] == (10, 9)
    assert again["utterances"] == (28, 0)
    assert await contents(there) == await contents(url)


@pytest.mark.parametrize("what", ["another user", "a changed row"])
async def test_a_target_with_other_data_is_left_alone(
    tmp_path: Path, postgres: EmptyDatabase, what: str
) -> None:
    """It may be a database in use."""
    url = await filled(tmp_path)
    there = await postgres.url()
    if what == "another user":
        async with opened(there):
            await add_user("eve@example.org")
    else:
        await copy_database(url, there)
        changed = "UPDATE utterances SET text = 'changed' WHERE key = 'key-0'"
        await postgres.server.execute(changed, postgres.name)
    before = await contents(there)

    with pytest.raises(CannotUse, match="The target has other data in"):
        await copy_database(url, there)

    assert await contents(there) == before


async def test_a_database_in_use_is_not_copied(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """A server could write to it meanwhile."""
    url = await filled(tmp_path)
    async with sole_process(tmp_path / "voxql.db"):
        with pytest.raises(CannotUse, match="Another server"):
            await copy_database(url, await postgres.url())


async def test_what_can_not_be_copied_is_refused(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """Nothing is created where nothing was."""
    url = database_url(tmp_path / "none")
    there = await postgres.url()
    with pytest.raises(CannotUse, match="There is no database at"):
        await copy_database(url, there)
    assert not (tmp_path / "none").exists()
    with pytest.raises(CannotUse, match="the same database"):
        await copy_database(there, there)


async def test_the_command_says_what_it_copied(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """One line for each table, and what to do next."""
    url = await filled(tmp_path)
    command = [sys.executable, str(ROOT / "cli.py"), "copy-database", url, await postgres.url()]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "utterances: 28 rows" in done.stdout
    assert "Start the server with VOXQL_DATABASE_URL set to TO." in done.stdout


async def test_clients_resume_on_the_copy(tmp_path: Path, postgres: EmptyDatabase) -> None:
    """Their token, their cursor and the keys of the data folder stay valid."""
    async with stage(tmp_path) as on:
        session, agent = await on.conversation()
        for number in range(5):
            agent.say(f"sentence {number}")
        await agent.settled()
        watcher = on.watcher(session)
        await watcher.catch_up()
        held, reached = dict(watcher.held), list(watcher.reached)
        await agent.vanish()
        assert await on.server.stop() == 0
    there = await postgres.url()
    await copy_database(database_url(tmp_path / "data"), there)

    async with CrashingServer(tmp_path, environment={"VOXQL_DATABASE_URL": there}) as server:
        watcher.url = server.url
        await watcher.catch_up()

    assert len(held) == 5
    assert (watcher.held, watcher.reached) == (held, reached), "nothing came twice"
    assert watcher.ended is None
    assert on.journal.violations == []


@pytest.mark.soak
async def test_a_hundred_thousand_conversations_are_copied(
    tmp_path: Path, postgres: EmptyDatabase
) -> None:
    """The time and the rate are printed."""
    url = database_url(tmp_path)
    await migrate(url)
    async with opened(url):
        user = await add_user("ada@example.org")
        for _ in range(100):
            await add_sessions(user, [[f"line {n} of it" for n in range(10)]] * 1_000)
    there = await postgres.url()
    began = time.perf_counter()
    tables = counted(await copy_database(url, there))
    took = time.perf_counter() - began
    print(f"100,000 conversations, 1,000,000 lines: {took:.0f} s, {1_100_000 / took:,.0f} rows/s")
    assert tables["sessions"] == (100_000, 0)
    assert tables["utterances"] == (1_000_000, 0)
