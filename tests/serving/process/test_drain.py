"""A server that is told to stop while everybody talks."""

import asyncio
from pathlib import Path
from statistics import quantiles

import httpx

from agent_bridge.client.link import Backoff
from tests.agent_bridge.wire import raw, words
from tests.faults.servers.stage import Agent, stage
from tests.storage.disk import rows

SPOKEN = "SELECT key, text FROM utterances WHERE is_final"


async def test_no_word_is_lost_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    """Acknowledged words are stored; the next process gets the rest; each final is stored once."""
    async with stage(tmp_path) as on:
        conversations = [await on.conversation() for _ in range(4)]
        agents = [agent for _, agent in conversations]
        watcher = on.watcher(conversations[0][0])
        watching = asyncio.create_task(watcher.run())
        talking = asyncio.create_task(_talk(agents))
        await on.journal.until(lambda: watcher.is_caught_up)
        while sum(len(agent.promised) for agent in agents) < 200:
            await asyncio.wait({talking}, timeout=0.02)

        assert await on.server.stop() == 0

        stored = dict(rows(on.server.database, SPOKEN))
        for agent in agents:
            assert agent.promised.items() <= stored.items()
        await on.server.start()
        talking.cancel()
        for agent in agents:
            await agent.settled()
        promised = {key: text for agent in agents for key, text in agent.promised.items()}
        found = rows(on.server.database, SPOKEN)
        assert len(found) == len(promised)
        assert dict(found) == promised
        assert [agent.dropped for agent in agents] == [[]] * 4
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watcher.catch_up()
        held = {each.state["key"]: each.state["text"] for each in watcher.held.values()}
        assert held == agents[0].promised
        assert on.journal.violations == []


async def _talk(agents: list[Agent]) -> None:
    number = 0
    while True:
        for agent in agents:
            number += 1
            agent.say(f"sentence {number}")
        await asyncio.sleep(0.002)


async def test_everybody_is_told_that_it_is_a_restart(tmp_path: Path) -> None:
    """The close code is 1012."""
    async with stage(tmp_path) as on:
        job = await on.begin()
        async with raw(on.server.url) as agent, httpx.AsyncClient() as client:
            await agent.send("hello", token=job.bridge_token)
            await agent.receive()
            assert (await client.get(f"{on.server.url}/readyz")).json()["status"] == "ready"
            await agent.send("utterance", **words())

            stopping = asyncio.create_task(on.server.stop())

            assert await agent.closed() == 1012
        assert await stopping == 0


def test_those_who_come_back_are_spread_out() -> None:
    """Of 500 clients cut off at once, about a quarter reconnects in each quarter of the window."""
    tries = [Backoff().pause() for _ in range(500)]

    window = Backoff().first
    assert 0 <= min(tries) < max(tries) <= window
    for at, expected in zip(quantiles(tries, n=4), (0.25, 0.5, 0.75), strict=True):
        assert abs(at / window - expected) < 0.12


def test_those_who_wait_long_wait_for_different_times() -> None:
    """The window doubles up to ten seconds, to spare a server that starts slowly."""
    backoff = Backoff()
    windows = []
    for _ in range(10):
        windows.append(min(backoff.longest, backoff.first * 2**backoff.tries))
        assert 0 <= backoff.pause() <= windows[-1]

    assert windows == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
