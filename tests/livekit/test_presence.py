"""Whether the person can be heard is seen in the room, with webhooks and without."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from tests.conftest import StartLiveKit, StartServer
from tests.livekit.hall import Hall, hall, until
from tests.livekit_server import LiveKitServer
from tests.ports import free_port

PATIENCE = {"VOXQL_ABANDON_S": "8"}


@pytest.fixture
async def short(start_server: StartServer, livekit: LiveKitServer) -> AsyncIterator[Hall]:
    """A server that takes people for gone after eight seconds, on a LiveKit without webhooks."""
    server = start_server(VOXQL_AGENT="livekit", **PATIENCE, **livekit.settings)
    async with hall(server, livekit) as opened:
        yield opened


async def test_a_person_who_leaves_the_room_is_missed(short: Hall) -> None:
    """ENDED, ABANDONED, with every word; the room is deleted."""
    worker = await short.worker()
    session, agent, room = await short.talk_with_person(worker)
    await _is_seen(short, session)
    agent.say("I must go.")
    await agent.settled()

    await room.disconnect()

    await short.becomes(session, "ENDING")
    await agent.bye("STOPPED")
    ended = await short.becomes(session, "ENDED")
    assert ended["endReason"] == "ABANDONED"
    assert await short.texts(session) == ["I must go."]
    await short.is_deleted(room.name)


async def test_a_person_who_stays_is_not_missed(short: Hall) -> None:
    """Silent, for twice as long as somebody may be away."""
    worker = await short.worker()
    session, _, _ = await short.talk_with_person(worker)
    absent, _, _, _ = await short.talk(worker)

    # Each of these takes its eight seconds: they are over before anything is said of the first.
    for _ in range(2):
        await short.becomes(absent, "ENDING")
        absent, _, _, _ = await short.talk(worker)

    assert (await short.read(session))["status"] == "ACTIVE"


async def test_a_person_who_comes_back_in_time_goes_on(short: Hall) -> None:
    """The connection was lost for a while: nothing has happened."""
    worker = await short.worker()
    session, _, room = await short.talk_with_person(worker)
    await _is_seen(short, session)
    await room.disconnect()
    absent, _, _, _ = await short.talk(worker)

    again = await short.join(session)
    await short.person(again["connection"])

    await short.becomes(absent, "ENDING")  # who has been away for longer than eight seconds by then
    assert (await short.read(session))["status"] == "ACTIVE"


async def test_a_restarted_server_finds_the_person_in_the_room(
    start_server: StartServer, livekit: LiveKitServer
) -> None:
    """Nobody tells it; it looks."""
    server = start_server(VOXQL_AGENT="livekit", **PATIENCE, **livekit.settings)
    server.environment["VOXQL_PORT"] = server.url.rpartition(":")[2]
    async with hall(server, livekit) as on:
        worker = await on.worker()
        session, _, _ = await on.talk_with_person(worker)

        server.kill()
        server.start()

        absent, _, _, _ = await on.talk(worker)
        await on.becomes(absent, "ENDING")
        assert (await on.read(session))["status"] == "ACTIVE"


async def test_webhooks_let_it_be_noticed_sooner(
    start_server: StartServer, start_livekit: StartLiveKit
) -> None:
    """LiveKit signs them; the look that they bring about finds the person, or the room's end."""
    port = free_port()
    livekit = start_livekit(webhooks=[f"http://127.0.0.1:{port}/livekit/webhook"])
    server = start_server(VOXQL_AGENT="livekit", VOXQL_PORT=str(port), **livekit.settings)
    async with hall(server, livekit) as on:
        worker = await on.worker()
        _, _, room = await on.talk_with_person(worker)
        await room.disconnect()

        async def has_come() -> bool:
            return 'voxql_livekit_calls_total{call="webhook",outcome="taken"}' in await on.metrics()

        await until(has_come)
        assert not any("webhook_refused" in line for line in server.lines)


async def _is_seen(on: Hall, session: str) -> None:
    """Wait until the person's deadline is gone, which no client can see."""

    async def look() -> bool:
        path = f"file:{on.server.data_dir / 'voxql.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as database:
            query = "SELECT person_back_by FROM sessions WHERE id = ?"
            return bool(database.execute(query, (session,)).fetchone() == (None,))

    await until(look)
