"""A server on PostgreSQL: what it refuses, and what it loses when PostgreSQL fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from models.database import Connection, migrate, opened, reader, transact
from models.engine import CannotUse
from models.postgres import process_lock
from tests.agent_bridge.wire import raw, words
from tests.conftest import StartServer
from tests.faults.servers.stage import Stage, stage
from tests.network import island
from tests.programs.pgbouncer import PgBouncer
from tests.programs.postgres import USER, EmptyDatabase, PostgresServer
from tests.programs.server_process import ServerProcess
from tests.storage.writes import HISTORY, NOT_STORED, TYPE, Browser, until

DATABASE = "voxql"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresServer]:
    """A PostgreSQL server that syncs its commits."""
    server = durable_server()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
async def durable(cluster: PostgresServer) -> PostgresServer:
    """The same server, with an empty database.

    Restart it in this thread: Linux would end it with the thread that has started it.
    """
    await cluster.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    await cluster.execute(f"CREATE DATABASE {DATABASE}")
    return cluster


def durable_server() -> PostgresServer:
    return PostgresServer.new(fsync="on", full_page_writes="on")


async def finals(server: PostgresServer) -> dict[str, str]:
    """Return the texts of all stored finals by key."""
    connection = await asyncpg.connect(server.url(DATABASE))
    try:
        rows = await connection.fetch("SELECT key, text FROM utterances WHERE is_final")
    finally:
        await connection.close()
    return {row["key"]: row["text"] for row in rows}


async def until_active(server: PostgresServer) -> None:
    """Wait until the only session is ACTIVE."""
    connection = await asyncpg.connect(server.url(DATABASE))
    async with asyncio.timeout(30):
        while await connection.fetchval("SELECT status FROM sessions") != "ACTIVE":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    await connection.close()


async def until_ready(browser: Browser, wanted: tuple[int, str], within: float = 60) -> None:
    async with asyncio.timeout(within):
        while await browser.is_ready() != wanted:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_a_crash_of_postgresql_loses_no_acknowledged_word(
    tmp_path: Path, durable: PostgresServer
) -> None:
    """PostgreSQL is killed under load and comes back; the server needs no restart."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=durable.url(DATABASE)) as on:
        browser = Browser(on)
        _, agent = await on.conversation()
        for round_ in range(3):
            for number in range(20):
                agent.say(f"sentence {round_} {number}")
            durable.kill()
            for number in range(20, 30):
                agent.say(f"sentence {round_} {number}")
            await until_ready(browser, (503, "unreachable"))
            durable.start()
            await agent.settled(60)
        await until_ready(browser, (200, "ready"))
        assert len(agent.promised) == 90
        assert agent.promised.items() <= (await finals(durable)).items()
        log = on.server.log.read_text()
    assert "database_lock_taken_again" in log


async def test_what_is_said_while_postgresql_is_away_is_stored_afterwards(
    tmp_path: Path, durable: PostgresServer
) -> None:
    """Agents get NOT_STORED, requests a sentence, and `/readyz` a 503."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=durable.url(DATABASE)) as on:
        browser = Browser(on)
        job = await on.begin()
        async with raw(on.server.url) as agent:
            await agent.send("hello", token=job.bridge_token)
            await agent.receive()
            await agent.send("ready")
            await until_active(durable)
            durable.stop()

            await agent.send("utterance", **words())
            refused = await agent.receive()
            line = {"sessionId": job.session, "key": "typed-1", "text": "a line"}
            answer = await browser.ask(TYPE, line)
            ready = await browser.is_ready()

            await until(lambda: "database_not_reached" in on.server.log.read_text())
            durable.start()
            await until_ready(browser, (200, "ready"))
            await agent.send("utterance", **words())
            stored = await agent.receive()

        assert not_stored(refused)
        assert answer["errors"][0]["message"].startswith("The data can't be reached. Try again")
        assert ready[0] == 503
        assert stored["type"] == "ack"
        assert "errors" not in await browser.ask(TYPE, line)
        assert sorted((await finals(durable)).values()) == ["a line", "hello"]
        await until(lambda: "database_reached_again" in on.server.log.read_text())
        log = on.server.log.read_text()
    assert log.count("database_not_written") == log.count("database_written_again") == 1
    assert log.count("database_not_reached") == log.count("database_reached_again") == 1
    assert "reaper_failed" not in log


@pytest.mark.soak  # it waits for a minute
@pytest.mark.own_network
async def test_a_network_that_loses_every_packet_loses_no_word(tmp_path: Path) -> None:
    """Nothing is refused and nothing ends: only the time-outs notice."""
    with island() as made:
        cable = made.cable
        there = PostgresServer.new(host=cable.there, prefix=made.prefix)
        try:
            await asyncio.to_thread(there.start)
            await there.execute(f"CREATE DATABASE {DATABASE}")
            async with stage(tmp_path, VOXQL_DATABASE_URL=there.url(DATABASE)) as on:
                browser = Browser(on)
                _, agent = await on.conversation()
                agent.say("before")
                await agent.settled()
                cable.lose()
                for number in range(10):
                    agent.say(f"meanwhile {number}")
                await until_ready(browser, (503, "not ready"))
                trouble = "database_not_written"
                await until(lambda: trouble in on.server.log.read_text(), within=60)
                assert len(agent.promised) == 1

                cable.carry()

                await agent.settled(60)
                await until_ready(browser, (200, "ready"))
                assert len(agent.promised) == 11
                assert agent.promised == await finals(there)
        finally:
            there.remove()


async def test_a_standby_takes_over_without_a_lost_word(tmp_path: Path) -> None:
    """The primary server crashes under load, and its synchronous standby is promoted."""
    first = durable_server().start()
    await first.execute(f"CREATE DATABASE {DATABASE}")
    second = first.standby()
    try:
        second.start()
        await first.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await first.execute("SELECT pg_reload_conf()")
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (first, second))
        url = f"postgres://{USER}@{hosts}/{DATABASE}?target_session_attrs=primary"
        async with stage(tmp_path, VOXQL_DATABASE_URL=url) as on:
            browser = Browser(on)
            _, agent = await on.conversation()
            for number in range(30):
                agent.say(f"sentence {number}")
            first.kill()
            for number in range(30, 40):
                agent.say(f"sentence {number}")
            await until_ready(browser, (503, "unreachable"))

            await second.execute("SELECT pg_promote()")

            await until_ready(browser, (200, "ready"))
            await agent.settled(60)
            assert len(agent.promised) == 40
            assert agent.promised == await finals(second)
    finally:
        first.remove()
        second.remove()


async def test_a_standby_is_read_from_and_not_written_to(
    tmp_path: Path, durable: PostgresServer
) -> None:
    """After a fail-over, the server may still be connected to what is read-only now."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=durable.url(DATABASE)) as on:
        browser = Browser(on)
        session, _ = await on.conversation()
        line = {"sessionId": session, "key": "typed-1", "text": "a line"}

        await _make_read_only(on, durable, "on")
        answer = await browser.ask(TYPE, line)
        assert answer["errors"][0]["message"].startswith(NOT_STORED)
        assert await browser.is_ready() == (503, "read-only")
        assert "errors" not in await browser.ask(HISTORY)

        await _make_read_only(on, durable, "off")
        assert "errors" not in await browser.ask(TYPE, line)
        assert await browser.is_ready() == (200, "ready")


async def _make_read_only(on: Stage, server: PostgresServer, value: str) -> None:
    await server.execute(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = {value}")
    # New connections have the new setting.
    await server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{DATABASE}' AND application_name = 'voxql'"
    )


def not_stored(answer: dict[str, Any]) -> bool:
    """Whether an agent's utterance was refused for now."""
    return (answer["type"], answer["code"], answer["terminal"]) == ("nack", "NOT_STORED", False)


async def test_a_second_server_is_refused_until_the_first_has_ended(
    tmp_path: Path, durable: PostgresServer, start_server: StartServer
) -> None:
    """Each would know only its own conversations."""
    url = durable.url(DATABASE)
    first = await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)

    with pytest.raises(AssertionError, match="Another server uses this database"):
        await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)

    first.kill()
    second = await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)
    assert second.stop() == 0


async def test_a_server_that_lost_its_database_to_another_one_stops(
    tmp_path: Path, durable: PostgresServer, start_server: StartServer
) -> None:
    """Its lock goes with a restart of PostgreSQL, and the other one takes it first."""
    url = durable.url(DATABASE)
    first = await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)
    async with other_connections(url) as (other, killer):
        # It waits in the lock's queue, so it is next.
        waiting = asyncio.create_task(
            other.execute("SELECT pg_advisory_lock($1)", process_lock._LOCK)
        )
        async with asyncio.timeout(30):
            while not await killer.fetchval(WAITING):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'voxql lock'"
        )
        await waiting
        await asyncio.to_thread(first.wait_for, "database_is_used_by_another_server")
        assert await asyncio.to_thread(first.process.wait, 30) == 0


@asynccontextmanager
async def other_connections(url: str) -> AsyncIterator[list[Any]]:
    """Connect twice, as other programs."""
    connections = [await asyncpg.connect(url) for _ in range(2)]
    yield connections
    for each in connections:
        await each.close()


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("nothing", "has no database nothing. Create it: createdb nothing"),
        ("ascii", "The database's encoding is SQL_ASCII; VoxQL needs UTF8"),
    ],
)
async def test_a_database_that_can_not_be_used_is_refused_in_words(
    postgres: EmptyDatabase, database: str, said: str
) -> None:
    """The sentence says what to do."""
    if database == "ascii":
        await postgres.server.execute(
            "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' "
            "LOCALE_PROVIDER libc LOCALE 'C'"
        )
    with pytest.raises(CannotUse) as refusal:
        await migrate(postgres.server.url(database))
    assert said in str(refusal.value)


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    """The sentence has the place, the cause and the setting."""
    with pytest.raises(CannotUse) as refusal:
        await migrate("postgres://ada:secret@127.0.0.1:9/voxql")
    said = str(refusal.value)
    assert "PostgreSQL at 127.0.0.1:9 can't be reached" in said
    assert "VOXQL_DATABASE_URL" in said
    assert "secret" not in said


async def test_a_server_that_may_lose_commits_is_reported(
    tmp_path: Path, postgres: EmptyDatabase, start_server: StartServer
) -> None:
    """The tests' own server does not sync."""
    await postgres.server.execute("CREATE DATABASE unsafe")
    url = postgres.server.url("unsafe")
    server: ServerProcess = await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)
    assert "fsync" in server.wait_for("database_server_may_lose_commits")


async def test_processes_that_migrate_at_once_wait_for_one_another(
    postgres: EmptyDatabase,
) -> None:
    """One of them applies everything, the others nothing."""
    await postgres.server.execute("CREATE DATABASE fresh")
    url = postgres.server.url("fresh")
    applied = await asyncio.gather(*(migrate(url) for _ in range(3)))
    assert sorted(len(names) for names in applied)[:2] == [0, 0]
    assert sum(map(len, applied)) == max(map(len, applied)) > 5


async def test_a_server_behind_pgbouncer_keeps_its_promises(
    tmp_path: Path, durable: PostgresServer, start_server: StartServer
) -> None:
    """Its transactions share four connections with other clients, in transaction mode."""
    with PgBouncer(durable) as pooler:
        url = pooler.url(DATABASE)
        async with stage(tmp_path, VOXQL_DATABASE_URL=url) as on, busy(pooler):
            browser = Browser(on)
            agents = [(await on.conversation())[1] for _ in range(3)]
            for number in range(30):
                for agent in agents:
                    agent.say(f"sentence {number}")
            history = await asyncio.gather(*(browser.ask(HISTORY) for _ in range(20)))
            await asyncio.gather(*(agent.settled(60) for agent in agents))

            assert all("errors" not in answer for answer in history)
            promised = {key: text for agent in agents for key, text in agent.promised.items()}
            assert len(promised) == 90
            assert promised == await finals(durable)
            with pytest.raises(AssertionError, match="Another server uses this database"):
                await asyncio.to_thread(start_server, VOXQL_DATABASE_URL=url)


@asynccontextmanager
async def busy(pooler: PgBouncer) -> AsyncIterator[None]:
    """Let other clients use the pooler's connections meanwhile, with settings of their own."""

    async def use() -> None:
        connection = await asyncpg.connect(
            pooler.url(DATABASE).partition("?")[0], statement_cache_size=0
        )
        try:
            while True:
                async with connection.transaction():
                    await connection.execute("SET LOCAL default_transaction_read_only = on")
                    await connection.fetchval("SELECT $1::int", 1)
        finally:
            connection.terminate()

    clients = [asyncio.create_task(use()) for _ in range(3)]
    try:
        yield
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def test_commits_are_synced_whatever_the_server_says(durable: PostgresServer) -> None:
    """The reader can't write, and no statement waits forever."""
    await durable.execute(f"ALTER DATABASE {DATABASE} SET synchronous_commit = off")
    await migrate(durable.url(DATABASE))
    names = ["synchronous_commit", "statement_timeout", "lock_timeout"]

    async def read(conn: Connection) -> list[str]:
        return [str((await conn.execute_query_dict(f"SHOW {name}"))[0][name]) for name in names]

    async with opened(durable.url(DATABASE)):
        assert await transact(read) == ["on", "15s", "5s"]
        rows = await reader().execute_query_dict("SHOW default_transaction_read_only")
        assert rows == [{"default_transaction_read_only": "on"}]
