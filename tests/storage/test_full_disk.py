"""A full disk loses no acknowledged words and needs no restart."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_bridge.wire import Raw, raw, words
from tests.faults.servers.stage import Stage, stage
from tests.programs.server_process import ServerProcess
from tests.storage.disk import SmallDisk, contents, rows, small_disk
from tests.storage.writes import (
    HISTORY,
    NOT_STORED,
    UNHURRIED,
    Browser,
    arrivals,
    kinds_of_writes,
    until,
)

AT = "SELECT text, is_final FROM utterances WHERE key = ?"


@pytest.fixture
async def set_up(tmp_path: Path) -> AsyncIterator[tuple[Stage, SmallDisk]]:
    with small_disk(tmp_path / "data") as disk:
        async with stage(tmp_path, **UNHURRIED) as on:
            yield on, disk


async def answer_to(agent: Raw, **utterance: Any) -> dict[str, Any]:
    """Send an utterance and return its ack or nack."""
    await agent.send("utterance", **words(**utterance))
    return await agent.receive()


async def test_every_kind_of_write_is_refused_clearly_and_goes_on_when_there_is_room(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """Writes fail with INTERNAL and change nothing, `/readyz` fails; later all of them succeed."""
    on, disk = set_up
    browser = Browser(on)
    writes = await kinds_of_writes(on, browser)
    assert await browser.is_ready() == (200, "ready")

    disk.fill()
    before = contents(on.server.database)

    for name, query, given, as_owner in writes:
        answer = await browser.ask(query, given, as_owner=as_owner)
        assert "errors" in answer, (name, answer)
        assert len(answer["errors"]) == 1, (name, answer)
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "INTERNAL", name
        assert error["message"].startswith(NOT_STORED), name
    assert await browser.is_ready() == (503, "full")
    assert "errors" not in await browser.ask(HISTORY)
    assert contents(on.server.database) == before

    disk.empty()

    assert await browser.is_ready() == (200, "ready")
    for name, query, given, as_owner in writes:
        assert "errors" not in await browser.ask(query, given, as_owner=as_owner), name
    log = on.server.log.read_text()
    assert log.count("database_not_written") == log.count("database_written_again") == 1
    assert "Traceback" not in log
    assert "traceback" not in log


async def test_who_comes_while_the_disk_is_full_comes_again(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """Agents and clients get the protocols' "try again" codes; the log has no traceback."""
    on, disk = set_up
    async with arrivals(on) as those:
        disk.fill()
        before = contents(on.server.database)
        await those.are_refused()
        assert contents(on.server.database) == before
        disk.empty()
        await those.are_taken_in()
    log = on.server.log.read_text()
    assert log.count("database_not_written") == 1
    assert "Traceback" not in log
    assert "traceback" not in log


async def test_nothing_is_acknowledged_that_a_full_disk_swallows(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """Finals and first interims get NOT_STORED; a shown segment's update is stored afterwards."""
    on, disk = set_up
    job = await on.begin()
    async with raw(on.server.url) as agent:
        await agent.send("hello", token=job.bridge_token)
        assert (await agent.receive())["type"] == "welcome"
        await agent.send("ready")
        first = await answer_to(agent, segment="seg_known", text="it beg", final=False)
        assert first["type"] == "ack"

        disk.fill()

        not_stored = {"type": "nack", "code": "NOT_STORED", "terminal": False}
        final = await answer_to(agent, segment="seg_final", text="the end", final=True)
        assert not_stored.items() <= final.items()
        sight = await answer_to(agent, segment="seg_sight", text="somethi", final=False)
        assert not_stored.items() <= sight.items()
        # Published at once: watchers see it, and it will be written.
        shown = await answer_to(
            agent, segment="seg_known", revision=2, text="it begins", final=False
        )
        assert shown["type"] == "ack"
        keys = rows(on.server.database, "SELECT key, text FROM utterances")
        assert keys == [("seg_known", "it beg")]

        disk.empty()

        await until(lambda: rows(on.server.database, AT, "seg_known") == [("it begins", 0)])
        again = await answer_to(agent, segment="seg_final", text="the end", final=True)
        assert again["type"] == "ack"
        assert rows(on.server.database, AT, "seg_final") == [("the end", 1)]


async def test_the_client_hands_everything_in_once_there_is_room(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """A hundred finals sent to a full disk are all stored afterwards, each once."""
    on, disk = set_up
    session, agent = await on.conversation()

    disk.fill()
    for number in range(100):
        agent.say(f"sentence {number}")
    await until(lambda: "database_not_written" in on.server.log.read_text())
    assert agent.promised == {}
    disk.empty()
    await agent.settled()

    stored = rows(
        on.server.database, "SELECT key, text FROM utterances WHERE session_id = ?", session
    )
    assert len(stored) == 100
    assert dict(stored) == agent.promised


async def test_who_leaves_while_the_disk_is_full_is_missed_afterwards(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """Otherwise the conversation would stay ACTIVE for ever without an agent."""
    on, disk = set_up
    session, agent = await on.conversation()
    status = "SELECT status FROM sessions WHERE id = ?"
    deadlines = "SELECT agent_retry_by, agent_back_by FROM sessions WHERE id = ?"
    # The agent has reported ready; the server may not have written it yet.
    await until(lambda: rows(on.server.database, status, session) == [("ACTIVE",)])

    disk.fill()
    await agent.vanish()
    await until(lambda: "database_not_written" in on.server.log.read_text())
    assert rows(on.server.database, deadlines, session) == [(None, None)]
    disk.empty()

    await until(lambda: None not in rows(on.server.database, deadlines, session)[0])


async def test_an_idle_server_knows_that_its_disk_is_full(
    set_up: tuple[Stage, SmallDisk],
) -> None:
    """`/readyz` notices a full disk, and free space again, without anyone writing."""
    on, disk = set_up
    browser = Browser(on)

    disk.fill()
    assert await browser.is_ready() == (503, "full")
    disk.empty()

    assert await browser.is_ready() == (200, "ready")


async def test_metrics_tell_what_was_not_stored(set_up: tuple[Stage, SmallDisk]) -> None:
    """Metrics count failed writes and report free space, so that an alert can come in time."""
    on, disk = set_up
    _, agent = await on.conversation()
    browser = Browser(on)
    disk.fill()
    agent.say("never mind")
    await until(lambda: "database_not_written" in on.server.log.read_text())

    told = (await browser.client.get("/metrics")).text

    metrics = dict(line.rsplit(" ", 1) for line in told.splitlines() if line[0] != "#")
    assert float(metrics["voxql_not_stored_total"]) >= 1
    assert float(metrics["voxql_disk_free_bytes"]) == 0
    disk.empty()
    await agent.settled()


@pytest.mark.parametrize("is_new", [True, False])
def test_a_start_on_a_full_disk_says_why_it_can_not(tmp_path: Path, is_new: bool) -> None:
    """With or without a database, it fails with a message and status 1; later it succeeds."""
    with small_disk(tmp_path / "data") as disk:
        server = ServerProcess(disk.folder)
        if not is_new:
            server.start()
            assert server.stop() == 0
        disk.fill()

        with pytest.raises(AssertionError):
            server.start()
        assert server.process.wait(10) == 1
        said = "\n".join(server.lines)
        assert re.search("voxql: .*(disk is full|No space left on device)", said), said
        assert "Traceback" not in said

        disk.empty()
        server.start()
        assert server.stop() == 0
