"""A database that another process keeps locked."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.agent_bridge.wire import raw, words
from tests.faults.servers.stage import stage
from tests.storage.disk import contents, rows
from tests.storage.writes import (
    HISTORY,
    NOT_STORED,
    RENAME,
    SECONDS,
    UNHURRIED,
    Browser,
    arrivals,
    kinds_of_writes,
    until,
)

TIMEOUT_S = 1.0


@contextmanager
def locked(database: Path, how: str = "EXCLUSIVE") -> Iterator[None]:
    """Hold the lock, as someone working on the file by hand does."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=SECONDS)) as other:
        other.execute(f"BEGIN {how}")
        yield
        other.execute("ROLLBACK")


def impatient(folder: Path) -> str:
    """Return a database URL with a short busy timeout for tests; the default is 5 s."""
    return f"sqlite://{folder}/data/voxql.db?busy_timeout={TIMEOUT_S * 1000:.0f}"


async def test_every_kind_of_write_is_refused_within_the_time_out(tmp_path: Path) -> None:
    """Concurrent writes do not wait for one another, and reads go on."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=impatient(tmp_path), **UNHURRIED) as on:
        browser = Browser(on)
        writes = await kinds_of_writes(on, browser)
        before = contents(on.server.database)
        loop = asyncio.get_running_loop()

        with locked(on.server.database):
            began = loop.time()
            answers = await asyncio.gather(
                *(browser.ask(query, given, as_owner=mine) for _, query, given, mine in writes)
            )
            took = loop.time() - began
            assert "errors" not in await browser.ask(HISTORY)
            assert await browser.is_ready() == (503, "locked")

        # Waiting in turn would take at least one time-out for each.
        assert took < len(writes) * TIMEOUT_S
        for (name, *_), answer in zip(writes, answers, strict=True):
            assert answer["errors"][0]["message"].startswith(NOT_STORED), name
        assert contents(on.server.database) == before

        assert await browser.is_ready() == (200, "ready")
        for name, query, given, mine in writes:
            assert "errors" not in await browser.ask(query, given, as_owner=mine), name


async def test_who_comes_while_the_database_is_locked_comes_again(tmp_path: Path) -> None:
    """Agents and clients get the protocols' "try again" codes; the log has no traceback."""
    async with (
        stage(tmp_path, VOXQL_DATABASE_URL=impatient(tmp_path), **UNHURRIED) as on,
        arrivals(on) as those,
    ):
        with locked(on.server.database):
            await those.are_refused()
        await those.are_taken_in()
        log = on.server.log.read_text()
    assert log.count("database_not_written") == 1
    assert "Traceback" not in log
    assert "traceback" not in log


async def test_a_final_gets_no_ack_while_the_database_is_locked(tmp_path: Path) -> None:
    """It gets NOT_STORED, and is stored when sent again."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=impatient(tmp_path)) as on:
        job = await on.begin()
        async with raw(on.server.url) as agent:
            await agent.send("hello", token=job.bridge_token)
            await agent.receive()
            with locked(on.server.database):
                await agent.send("utterance", **words())
                refused = await agent.receive()
            await agent.send("utterance", **words())
            stored = await agent.receive()

        assert (refused["type"], refused["code"], refused["terminal"]) == (
            "nack",
            "NOT_STORED",
            False,
        )
        assert stored["type"] == "ack"
        assert rows(on.server.database, "SELECT text FROM utterances") == [("hello",)]


async def test_a_lock_that_is_short_is_waited_for(tmp_path: Path) -> None:
    """A lock shorter than the time-out delays writes but fails none."""
    async with stage(tmp_path) as on:
        session, agent = await on.conversation()
        browser = Browser(on)

        with locked(on.server.database):
            agent.say("during the lock")
            rename = browser.ask(RENAME, {"sessionId": session, "title": "During the lock"})
            renaming = asyncio.create_task(rename)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.shield(renaming)

        assert "errors" not in await renaming
        await agent.settled()
        assert len(agent.promised) == 1


async def test_a_conversation_goes_on_after_a_lock_that_was_long(tmp_path: Path) -> None:
    """Interims shown during the lock and all finals are stored afterwards."""
    async with stage(tmp_path, VOXQL_DATABASE_URL=impatient(tmp_path)) as on:
        _, agent = await on.conversation()
        segment = agent.say("it beg", final=False)
        text = "SELECT text FROM utterances WHERE key = ?"
        await until(lambda: rows(on.server.database, text, segment))

        with locked(on.server.database):
            agent.say("it begins", final=False, segment=segment)
            for number in range(20):
                agent.say(f"sentence {number}")
            await until(lambda: "database_not_written" in on.server.log.read_text())
        await agent.settled()

        assert len(agent.promised) == 20
        await until(lambda: rows(on.server.database, text, segment) == [("it begins",)])
