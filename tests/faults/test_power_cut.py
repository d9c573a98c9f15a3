"""An acknowledged final is on the disk, so a power cut right after does not lose it."""

import asyncio
import random
import sqlite3
from pathlib import Path

import pytest

from tests.faults.clients.account import BEGIN, Account
from tests.faults.clients.journal import Journal
from tests.faults.clients.talkers import Pace, Troupe
from tests.faults.servers.broken import SOUND
from tests.faults.servers.powercut import Disk, finals_in, tracing
from tests.faults.servers.server import CrashingServer

pytestmark = pytest.mark.timeout(300)

CUTS = 25


async def talk_while_traced(folder: Path, fault: str) -> Journal:
    """Let three agents talk to a server whose writes and syncs are recorded."""
    journal = Journal()
    database = folder / "data" / "voxql.db"
    trace = tracing(folder / "trace", database)
    async with CrashingServer(folder, fault=fault, trace=trace) as server:
        account = Account(server.url, journal)
        await account.open()
        troupe = Troupe(
            server.url, server.worker_key, journal, random.Random(1), Pace(finals=20.0), places=3
        )
        working = asyncio.create_task(troupe.worker.run())
        await troupe.worker.connected()
        for _ in range(3):
            await account.ask(BEGIN, {})
        await journal.until(lambda: len(journal.acknowledged()) >= 150)
        await troupe.finish(10)
        await troupe.worker.stop()
        await working
        await account.close()
        await server.stop()
    return journal


def lost_in_cuts(folder: Path, journal: Journal) -> list[str]:
    """Cut the power right after some acknowledgements; return the finals that were lost.

    Each moment is cut twice: with none and with some of the unsynced writes on the disk.
    """
    disk = Disk.traced(folder / "trace")
    promises = journal.acknowledged()
    rng = random.Random(2)
    lost = []
    for number, (moment, _, _) in enumerate(rng.sample(promises, CUTS)):
        for chance in (None, random.Random(number)):
            target = folder / f"cut-{number}-{'none' if chance is None else 'some'}"
            target.mkdir()
            disk.cut(moment, target, chance)
            try:
                finals = finals_in(target / "voxql.db")
            except sqlite3.DatabaseError as error:
                lost.append(f"cut {number}: the file is damaged: {error}")
                continue
            lost += [
                f"cut {number}: {segment}"
                for when, segment, revision in promises
                if when <= moment and finals.get(segment, 0) < revision
            ]
    return lost


async def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    """At 25 moments just after an acknowledgement, the disk has everything acknowledged so far."""
    journal = await talk_while_traced(tmp_path, SOUND)

    assert lost_in_cuts(tmp_path, journal) == []


@pytest.mark.parametrize("fault", ["does_not_sync", "syncs_at_checkpoints"])
async def test_a_server_that_does_not_sync_is_found_out(tmp_path: Path, fault: str) -> None:
    """Such a server survives every SIGKILL; only a power cut exposes it."""
    journal = await talk_while_traced(tmp_path, fault)

    assert any("seg_" in promise for promise in lost_in_cuts(tmp_path, journal))
