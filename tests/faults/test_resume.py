"""Subscribers that resume with a cursor get everything they missed; wrong cursors are refused."""

import asyncio
import random
import sqlite3
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from models import sort_keys
from models.sqlite.search import with_tokens
from tests.faults.clients.account import DELETE
from tests.faults.clients.watchers import QUERY, Watcher
from tests.faults.servers.server import CrashingServer
from tests.faults.servers.stage import Agent, Stage, stage
from tests.faults.verdict import Stored, judge_watcher
from tests.graphql_socket import SubscriptionRefused, subscribe
from tests.wire import Wire

CUTS = 100


@asynccontextmanager
async def talking(agent: Agent, per_second: float) -> AsyncIterator[None]:
    """Let the user talk during the block, each sentence with an interim before its final."""

    async def talk() -> None:
        number = 0
        while True:
            number += 1
            segment = agent.say(f"meanwhile {number}, so far", final=False)
            await asyncio.sleep(0.5 / per_second)
            agent.say(f"meanwhile {number}", segment=segment)
            await asyncio.sleep(0.5 / per_second)

    task = asyncio.create_task(talk())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await agent.answered()


def fill(database: Path, session: str, count: int) -> None:
    """Insert utterances into a session directly, as if they had been said."""
    with closing(sqlite3.connect(database)) as connection, connection:
        with_tokens(connection)
        connection.executemany(
            "INSERT INTO utterances (id, session_id, key, agent_revision, revision, ceiling, seq,"
            " role, source, text, is_final, is_interrupted, sort_key, position,"
            " started_at, awaits_agent)"
            " VALUES (?, ?, ?, 1, 1, 1, ?, 'USER', 'SPEECH', ?, 1, 0, ?, ?, ?, 0)",
            [
                (
                    f"utt_{number:026d}",
                    session,
                    f"old-{number}",
                    number,
                    f"what was said as number {number} of many, long ago",
                    sort_keys.key_of(number),
                    float(number),
                    "2026-11-22 12:00:00.000000+00:00",
                )
                for number in range(1, count + 1)
            ],
        )
        connection.execute(
            "UPDATE sessions SET last_seq = ?, utterance_count = ?, "
            " preview_sort_key = '8000000001', preview = 'what was said' WHERE id = ?",
            (count, count, session),
        )


async def with_a_past(on: Stage, count: int) -> tuple[str, Agent]:
    """Return a running session with this many utterances, and its agent."""
    session, agent = await on.conversation()
    await on.server.stop()
    fill(on.server.database, session, count)
    await on.server.start()
    await agent.ready()
    return session, agent


async def judged(on: Stage, watcher: Watcher) -> int:
    """Let the watcher catch up and compare it with the database; return how many it holds."""
    await watcher.catch_up()
    judge_watcher(watcher, Stored(on.server.database), on.journal)
    return len(watcher.held)


@pytest.mark.timeout(300)
async def test_a_subscriber_that_is_cut_off_a_hundred_times_misses_nothing(tmp_path: Path) -> None:
    """Cuts come at any moment, including the replay of 5,000 utterances, while more is said."""
    seed = random.randrange(1_000_000)
    rng = random.Random(seed)
    async with stage(tmp_path) as on, Wire(on.server.port) as wire:
        session, agent = await with_a_past(on, 5_000)
        watcher = on.watcher(session)
        watcher.url = wire.url
        in_replay = 0
        async with talking(agent, per_second=40):
            for cut in range(CUTS):
                watcher.is_caught_up = False
                if cut % 8 == 0:
                    # A subscriber that lost everything: the replay starts over and is cut.
                    watcher = on.watcher(session)
                    watcher.url = wire.url
                    reading = asyncio.create_task(_read_until_cut(watcher))
                    await on.journal.until(partial(_has_read, watcher, rng.randrange(1, 5)))
                else:
                    reading = asyncio.create_task(_read_until_cut(watcher))
                    if rng.random() < 0.4:
                        await on.journal.until(partial(_is_caught_up, watcher))
                    await asyncio.sleep(rng.random() * 0.15)
                in_replay += not watcher.is_caught_up
                # Repeat, because a connection that is still being set up can't be cut yet.
                while not reading.done():
                    wire.cut()
                    await asyncio.wait({reading}, timeout=0.05)
                reading.result()
        held = await judged(on, watcher)

        print(f"seed {seed}: {in_replay} of {CUTS} cuts in a replay, {held} utterances held")
        assert on.journal.violations == [], f"seed {seed}"
        assert 0 <= held - 5_000 - len(agent.promised) <= 1  # one may be unfinished
        assert 5 < in_replay < CUTS - 5


def _is_caught_up(watcher: Watcher) -> bool:
    return watcher.is_caught_up


def _has_read(watcher: Watcher, events: int) -> bool:
    return watcher.events >= events or watcher.is_caught_up


async def _read_until_cut(watcher: Watcher) -> None:
    with suppress(OSError, EOFError, WebSocketException):
        await watcher._once(cut_after=None)


@pytest.mark.timeout(180)
async def test_a_long_past_is_replayed_while_more_is_said(tmp_path: Path) -> None:
    """20,000 utterances come in pages, then what was said meanwhile, without a gap or a stall."""
    async with stage(tmp_path) as on:
        session, agent = await with_a_past(on, 20_000)
        watcher = on.watcher(session)
        async with talking(agent, per_second=50):
            began = time.perf_counter()
            watching = asyncio.create_task(watcher.run())
            await on.journal.until(lambda: watcher.is_caught_up, within=60)
            took = time.perf_counter() - began
            pages = watcher.events
            said = len(agent.promised)
            await on.journal.until(lambda: len(agent.promised) > said + 20)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        held = await judged(on, watcher)

        print(f"20,000 utterances in {took:.1f} s and {pages} events, {said} said meanwhile")
        assert on.journal.violations == []
        assert 0 <= held - 20_000 - len(agent.promised) <= 1  # one may be unfinished
        assert pages >= 40


async def test_long_texts_are_replayed_in_frames_that_every_client_takes(tmp_path: Path) -> None:
    """The longest texts are used, with characters whose JSON form is three times as long.

    The client takes frames of up to 1 MiB, as most non-browser clients do.
    """
    async with stage(tmp_path) as on:
        session, agent = await on.conversation()
        for number in range(60):
            agent.say(f"{number:04d}" + "🎙" * 8_000)
        await agent.settled()
        open_ones = [agent.say(f"{number:04d}" + "…" * 8_000, final=False) for number in range(60)]
        watcher = on.watcher(session)
        watching = asyncio.create_task(watcher.run())
        keys = agent.promised.keys() | set(open_ones)
        await on.journal.until(lambda: {h.state["key"] for h in watcher.held.values()} == keys)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        late = on.watcher(session)
        await late.catch_up()

        assert {h.state["key"] for h in late.held.values()} == keys
        assert on.journal.violations == []
        assert on.journal.counts["subscriptions"] == 2


# ---------------------------------------------------------------------- wrong cursors


def made_up(session: str, seq: object) -> str:
    """Return a forged cursor."""
    return urlsafe_b64encode(f"t1:{session}:{seq}".encode()).decode().rstrip("=")


async def refusal(on: Stage, session: str, after: str) -> dict[str, object]:
    """Subscribe with this cursor; return the error, which must come before any event."""
    with pytest.raises(SubscriptionRefused) as refused:
        await _first(on, {"session": session, "after": after})
    [error] = refused.value.errors
    extensions: dict[str, object] = error["extensions"]
    return extensions


async def _first(on: Stage, variables: dict[str, str]) -> None:
    async with subscribe(on.server.url, on.account.token, QUERY, variables) as events:
        async for payload in events:
            pytest.fail(f"an event came: {payload}")


def dump(server: CrashingServer) -> list[str]:
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        return list(database.iterdump())


async def test_a_cursor_that_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    """Cursors of other or deleted sessions, of the future, or malformed ones are refused."""
    async with stage(tmp_path) as on:
        session, agent = await on.conversation()
        other, second = await on.conversation()
        gone, third = await on.conversation()
        for speaker in (agent, second, third):
            speaker.say("hello")
            await speaker.settled()
        fitting = {}
        for one in (session, other, gone):
            watcher = on.watcher(one)
            await watcher.catch_up()
            fitting[one] = str(watcher.cursor)
        await on.account.ask(DELETE, {"sessionId": gone})
        before = dump(on.server)

        wrong = {
            "of another session": fitting[other],
            "of the future": made_up(session, 2),
            "of the far future": made_up(session, 10**30),
            "before the beginning": made_up(session, -1),
            "of no number": made_up(session, "x"),
            "of another version": urlsafe_b64encode(f"t9:{session}:1".encode()).decode(),
            "garbage": "no cursor at all",
            "empty": "",
            "beyond ASCII": "🎙",
            "long": "A" * 100_000,
            "of a deleted session": fitting[gone],
        }
        for what, cursor in wrong.items():
            told = await refusal(on, session, cursor)
            assert (told["code"], told["field"]) == ("BAD_USER_INPUT", ["after"]), what
        assert (await refusal(on, gone, fitting[gone]))["code"] == "NOT_FOUND"

        assert dump(on.server) == before
        still = on.watcher(session)
        still.cursor = fitting[session]
        await still.catch_up()
        assert (still.held, still.ended) == ({}, None)
