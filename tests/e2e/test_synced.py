"""An acknowledged final is on disk: a real server's system calls prove it."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agent_bridge.client.worker import StartJob, Worker
from tests.e2e import traced
from tests.e2e.client.person import Person
from tests.programs.server_process import ServerProcess

ONE_BY_ONE = 10
AT_ONCE = 25


@pytest.mark.parametrize("synchronous", ["default", "NORMAL"])
async def test_acknowledged_means_synced(tmp_path: Path, synchronous: str) -> None:
    """The database is synced between a final and its ack, except with synchronous=NORMAL."""
    trace = await _traced(tmp_path, synchronous)
    assert len(trace.acked) == ONE_BY_ONE + AT_ONCE
    if synchronous == "default":
        assert trace.unsynced == [], trace.told(trace.unsynced[0])
    else:
        # Without this, the test could not tell a server that syncs from one that doesn't.
        assert len(trace.unsynced) >= len(trace.acked) - 1


def test_a_sync_is_seen_during_which_another_thread_called(tmp_path: Path) -> None:
    """A call that strace splits into two lines counts as one."""
    final = {"type": "utterance", "segment": "s", "final": True}
    ack = {"type": "ack", "segment": "s"}
    (tmp_path / "trace").write_text(
        f"1 0.1 read(7<TCP:[a->b]>, {_hex(_frame(final))}, 256) = {len(_frame(final))}\n"
        f"2 0.2 fdatasync(5<{_escaped('/data/voxql.db-wal')}> <unfinished ...>\n"
        f"1 0.3 read(9<event>, {_hex(bytes(8))}, 8) = 8\n"
        "2 0.4 <... fdatasync resumed>) = 0\n"
        f"1 0.5 write(7<TCP:[a->b]>, {_hex(_frame(ack))}, {len(_frame(ack))}) "
        f"= {len(_frame(ack))}\n"
    )

    trace = traced.read(tmp_path / "trace")

    assert [one.segment for one in trace.acked] == ["s"]
    assert trace.unsynced == [], trace.told(trace.acked[0])


def _frame(message: Mapping[str, object]) -> bytes:
    """Return a WebSocket text frame without a mask (RFC 6455, section 5.2)."""
    payload = json.dumps(message).encode()
    return bytes([0x81, len(payload)]) + payload


def _escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _hex(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


async def _traced(folder: Path, synchronous: str) -> traced.Trace:
    environment = {"VOXQL_AGENT": "external", "VOXQL_WORKER_KEY": "a-key-of-this-test"}
    if synchronous != "default":
        database = f"sqlite://{folder}/voxql.db?synchronous={synchronous}"
        environment["VOXQL_DATABASE_URL"] = database
    server = ServerProcess(folder / "data", **environment)
    server.prefix = traced.command(folder / "trace")
    server.start()
    try:
        tracer = psutil.Process(_tracer(server.process.pid))
        await _report(server.url)
    finally:
        server.stop()
    await asyncio.to_thread(tracer.wait, 10)
    return traced.read(folder / "trace")


async def _report(url: str) -> None:
    """Report finals as an agent, one by one and many at once."""
    jobs: asyncio.Queue[StartJob] = asyncio.Queue()
    worker = Worker(url, "a-key-of-this-test", agent_names=["voxql"], places=1, on_start=jobs.put)
    working = asyncio.create_task(worker.run())
    try:
        await worker.connected()
        async with Person(url) as person:
            await person.start()
            job = await asyncio.wait_for(jobs.get(), 10)
            async with connect(
                f"{url.replace('http', 'ws', 1)}/bridge",
                subprotocols=[Subprotocol("voxql.bridge.v1")],
                compression=None,
                proxy=None,
            ) as bridge:
                await bridge.send(json.dumps({"type": "hello", "token": job.bridge_token}))
                await bridge.send(json.dumps({"type": "ready"}))
                for _ in range(ONE_BY_ONE):
                    await _acknowledged(bridge, {await _say(bridge)})
                await _acknowledged(bridge, {await _say(bridge) for _ in range(AT_ONCE)})
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _say(bridge: ClientConnection) -> str:
    segment = f"seg_{secrets.token_hex(16)}"
    frame = {
        "type": "utterance",
        "segment": segment,
        "revision": 1,
        "role": "USER",
        "text": "This must not get lost.",
        "final": True,
        "startedAt": datetime.now(UTC).isoformat(),
    }
    await bridge.send(json.dumps(frame))
    return segment


async def _acknowledged(bridge: ClientConnection, waiting: set[str]) -> None:
    async with asyncio.timeout(15):
        while waiting:
            frame = json.loads(await bridge.recv())
            if frame["type"] == "ack":
                waiting.discard(frame["segment"])


def _tracer(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("TracerPid:")[2].split()[0])
