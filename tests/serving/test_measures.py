"""The metrics of `/metrics` are documented, true, and cheap."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from hub.events import TranscriptCommitted
from resolvers.metrics import BOUNDS, Latencies
from tests.faults.servers.cluster import Cluster
from tests.faults.servers.stage import stage, stage_on
from tests.hub.running import running
from tests.processor import processor_time
from tests.programs.server_process import ROOT

TIMED_OUT = 'voxql_reaper_actions_total{action="start_timeout"}'
SETTLED = ("ACTIVE", "FAILED")
ROW = re.compile(r"^\| `(voxql_[a-z_]+)` \| (counter|gauge|histogram) \| (.*) \|$", re.MULTILINE)


def metrics(told: str) -> dict[str, float]:
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_every_metric_is_documented_with_its_type(tmp_path: Path) -> None:
    """docs/operations.md has exactly one row for each of them."""
    async with stage(tmp_path) as on, httpx.AsyncClient(timeout=30) as client:
        told = (await client.get(f"{on.server.url}/metrics")).text

    shown = set(re.findall(r"^# TYPE (voxql_\w+) (\w+)$", told, re.MULTILINE))
    rows = ROW.findall((ROOT / "docs" / "operations.md").read_text())
    assert {(name, kind) for name, kind, _ in rows} == shown
    assert all(meaning for _, _, meaning in rows)


async def test_a_conversation_shows_in_the_figures(tmp_path: Path) -> None:
    """Sessions, utterances, commits, deliveries, subscribers and reaper actions are counted."""
    async with stage(tmp_path, VOXQL_START_TIMEOUT_S="0.3") as on:
        session, agent = await on.conversation()
        watcher = on.watcher(session)
        watching = asyncio.create_task(watcher.run())
        on.exits.callback(watching.cancel)
        await on.journal.until(lambda: watcher.is_caught_up)
        segment = agent.say("it beg", final=False)
        await on.journal.until(lambda: len(watcher.held) == 1)
        agent.say("it begins", final=False, segment=segment)
        agent.say("it begins here", segment=segment)
        await agent.settled()
        await on.begin()  # no agent comes
        async with httpx.AsyncClient(timeout=30) as client:
            while True:
                told = metrics((await client.get(f"{on.server.url}/metrics")).text)
                statuses = [told.get(f'voxql_sessions{{status="{s}"}}') for s in SETTLED]
                # The short time-out applies to both sessions; one whose agent comes late is ACTIVE
                # in the end. The reaper counts an action right after its commit.
                if statuses == [1, 1] and TIMED_OUT in told:
                    break

    assert told[TIMED_OUT] >= 1
    assert told["voxql_utterances_total"] == 1
    assert told["voxql_commit_seconds_count"] >= 2
    assert told["voxql_delivery_seconds_count"] >= 2
    assert told['voxql_delivery_seconds_bucket{le="+Inf"}'] == told["voxql_delivery_seconds_count"]
    assert told["voxql_transaction_seconds_sum"] > 0
    assert told['voxql_subscribers{kind="transcripts"}'] == 1
    assert told["voxql_agents_connected"] == 1
    assert told["voxql_not_stored_total"] == 0
    assert told["voxql_disk_free_bytes"] > 0
    assert told["process_resident_memory_bytes"] > 0


async def test_what_redis_carries_shows_in_the_figures(tmp_path: Path) -> None:
    """Events sent and received, and those that are lost while it is away."""
    cluster = Cluster(tmp_path, count=1)
    async with (
        stage_on(cluster) as on,
        running(cluster.redis.url, 1) as [other],
        httpx.AsyncClient(timeout=30) as client,
    ):

        async def until(is_so: Callable[[dict[str, float]], object]) -> dict[str, float]:
            async with asyncio.timeout(30):
                while True:
                    told = metrics((await client.get(f"{cluster.servers[0].url}/metrics")).text)
                    if is_so(told):
                        return told

        def received(told: dict[str, float]) -> bool:
            other.emit(TranscriptCommitted(session, 0, 0, None))
            return told["voxql_events_received_total"] > 0

        session, agent = await on.conversation()
        watcher = on.watcher(session)
        watching = asyncio.create_task(watcher.run())
        on.exits.callback(watching.cancel)
        await on.journal.until(lambda: watcher.is_caught_up)

        told = await until(received)
        assert told["voxql_hub_delayed"] == 0
        assert told["voxql_events_sent_total"] > 0
        assert told["voxql_events_lost_total"] == 0

        cluster.redis.kill()
        agent.say("nobody else hears this")
        await agent.settled()
        told = await until(lambda told: told["voxql_events_lost_total"] > 0)
        assert told["voxql_hub_delayed"] == 1


def test_latencies_are_counted_in_their_buckets() -> None:
    """A bound belongs to the bucket below it, as in Prometheus (`le`)."""
    latencies = Latencies()

    for seconds in (0.0, BOUNDS[0], BOUNDS[0] + 1e-9, 60.0):
        latencies.add(seconds)

    assert latencies.counts == [2, 1] + [0] * (len(BOUNDS) - 2) + [1]
    assert latencies.total == pytest.approx(60.0 + 2 * BOUNDS[0])


def test_counting_costs_next_to_nothing() -> None:
    """It takes under 5 µs on a busy machine (0.3 idle), as it runs for every event delivered."""
    latencies = Latencies()

    with processor_time() as spent:
        for _ in range(100_000):
            latencies.add(0.003)

    assert spent.seconds / 100_000 < 5e-6
