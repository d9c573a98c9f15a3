"""The server sees in the room whether the person is there, with webhooks and without."""

import sqlite3
from contextlib import closing

import pytest
from livekit import rtc

from tests.conftest import StartLiveKit, StartServer
from tests.livekit.hall import Hall, hall, until
from tests.programs.livekit_server import LiveKitServer
from tests.programs.ports import free_port

PATIENCE = {"VOXQL_ABANDON_S": "8", "VOXQL_GRACE_S": "60"}


async def test_who_is_away_for_too_long_is_missed_and_nobody_else(
    start_server: StartServer, livekit: LiveKitServer
) -> None:
    """A long absence ends the session as ABANDONED; staying, silence or a timely return does not.

    A restarted server finds the people by checking the rooms.
    """
    server = start_server(VOXQL_AGENT="livekit", **PATIENCE, **livekit.settings)
    async with hall(server, livekit) as on:
        worker = await on.worker()
        stays, _, _ = await on.talk_with_person(worker)
        absent, _, _, _ = await on.talk(worker)
        comes_back, _, lost = await on.talk_with_person(worker)
        leaves, agent, left = await on.talk_with_person(worker)
        for session in (stays, comes_back, leaves):
            await _is_seen(on, session)
        agent.say("I must go.")
        await agent.settled()

        await left.disconnect()
        await lost.disconnect()
        await _is_seen(on, comes_back, is_there=False)
        await on.person((await on.join(comes_back))["connection"])
        await _is_seen(on, comes_back)
        await on.becomes(absent, "ENDING")
        # The absence takes eight seconds, so the deadlines of all others have passed by then.
        absent, _, _, _ = await on.talk(worker)

        await on.becomes(leaves, "ENDING")
        await agent.bye("STOPPED")
        ended = await on.becomes(leaves, "ENDED")
        assert ended["endReason"] == "ABANDONED"
        assert await on.texts(leaves) == ["I must go."]
        await on.is_deleted(left.name)
        await on.becomes(absent, "ENDING")
        assert (await on.read(stays))["status"] == "ACTIVE"
        assert (await on.read(comes_back))["status"] == "ACTIVE"

        server.kill()
        server.start()

        absent, _, _, _ = await on.talk(worker)
        await on.becomes(absent, "ENDING")
        assert (await on.read(stays))["status"] == "ACTIVE"


async def test_a_livekit_as_in_production(
    start_server: StartServer, start_livekit: StartLiveKit
) -> None:
    """As in docs/livekit.md, it sends webhooks and creates no rooms itself.

    A signed webhook triggers a check that finds the person, or the end of the room. A token opens
    no room that VoxQL did not create.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}/livekit/webhook"
    livekit = start_livekit(webhooks=[address], room={"auto_create": False})
    server = start_server(VOXQL_AGENT="livekit", VOXQL_PORT=str(port), **livekit.settings)
    async with hall(server, livekit) as on:
        session, agent, room = await on.talk_with_person(await on.worker())
        assert room.isconnected()
        connection = (await on.join(session))["connection"]
        await room.disconnect()

        async def has_come() -> bool:
            return 'voxql_livekit_calls_total{call="webhook",outcome="taken"}' in await on.metrics()

        await until(has_come)
        assert not any("webhook_refused" in line for line in server.lines)

        await on.save(session)
        await agent.bye("STOPPED")
        await on.is_deleted(connection["roomName"])
        with pytest.raises(rtc.ConnectError):
            await rtc.Room().connect(connection["url"], connection["token"])
        assert await on.rooms(connection["roomName"]) == []


async def _is_seen(on: Hall, session: str, *, is_there: bool = True) -> None:
    """Wait until the server has noticed whether the person is there.

    The sign is the deadline in the database, which no client can see.
    """

    async def look() -> bool:
        path = f"file:{on.server.data_dir / 'voxql.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as database:
            query = "SELECT person_back_by FROM sessions WHERE id = ?"
            has_no_deadline = database.execute(query, (session,)).fetchone() == (None,)
            return bool(has_no_deadline == is_there)

    await until(look)
