"""A conversation over LiveKit from start to end: its room, agent and tokens."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from livekit import api

from agent_bridge.server.tokens import BRIDGE_LIFETIME
from tests.conftest import StartServer
from tests.livekit.hall import Hall, Refused, attempt_of, hall, until
from tests.programs.livekit_server import KEY, SECRET, LiveKitServer
from tests.programs.server_process import ServerProcess


async def test_a_new_chat_has_a_room_of_its_own_and_asks_for_one_agent(on: Hall) -> None:
    """The job has session, attempt and token; the room's metadata has no token."""
    started = await on.start()
    session, connection = started["session"], started["connection"]

    [room] = await on.rooms(connection["roomName"])
    [dispatch] = await on.api.agent_dispatch.list_dispatch(room.name)

    assert session["status"] == "STARTING"
    told = json.loads(dispatch.metadata)["voxql"]
    assert dispatch.agent_name == on.agent_name
    assert (told["url"], told["session"], told["attempt"]) == (on.server.url, session["id"], 1)
    assert json.loads(room.metadata) == {"voxql": {"session": session["id"]}}
    lifetime = jwt.decode(told["token"], options={"verify_signature": False})
    assert lifetime["exp"] - lifetime["iat"] == pytest.approx(BRIDGE_LIFETIME.total_seconds(), 1)


async def test_every_chat_has_another_room(on: Hall) -> None:
    """Room names are never reused: LiveKit would not dispatch the agent."""
    names = {(await on.start())["connection"]["roomName"] for _ in range(3)}

    assert len(names) == 3


async def test_the_persons_token_opens_one_room_with_the_microphone_alone(on: Hall) -> None:
    """One identity, fifteen minutes, no data permission: a browser can't impersonate the agent."""
    before = datetime.now(UTC)
    started = await on.start()
    connection = started["connection"]

    claims = jwt.decode(connection["token"], SECRET, algorithms=["HS256"], issuer=KEY)

    assert (connection["transport"], connection["sampleRate"]) == ("LIVEKIT", None)
    assert connection["url"] == on.livekit.url
    assert claims["sub"] == f"person-{started['session']['id']}"
    assert claims["video"] == {
        "roomJoin": True,
        "room": connection["roomName"],
        "canPublish": True,
        "canPublishSources": ["microphone"],
        "canPublishData": False,
        "canSubscribe": True,
        "canUpdateOwnMetadata": False,
    }
    expires_at = datetime.fromisoformat(connection["expiresAt"])
    assert timedelta(minutes=14) < expires_at - before <= timedelta(minutes=15, seconds=30)
    assert abs(claims["exp"] - expires_at.timestamp()) <= 1


async def test_joining_again_gives_a_fresh_token_for_the_same_place(on: Hall) -> None:
    """After a reload the person is the same participant, and is not in the room twice."""
    session, _, connection, _ = await on.talk(await on.worker())
    room = connection["roomName"]
    await on.person(connection)

    joined = await on.join(session)
    again = await on.person(joined["connection"])

    assert joined["connection"]["roomName"] == room
    assert again.local_participant.identity == f"person-{session}"
    assert await on.people(room) == {f"person-{session}"}


async def test_a_conversation_from_beginning_to_end(on: Hall) -> None:
    """STARTING, ACTIVE, ENDING, ENDED; the room is deleted only after the agent has drained."""
    worker = await on.worker()
    session, agent, connection, job = await on.talk(worker)
    room = connection["roomName"]
    await on.person(connection)
    agent.say("Good morning.")
    await agent.settled()

    saved = await on.save(session)

    assert saved["session"]["status"] == "ENDING"
    assert await on.rooms(room)
    agent.say("Those were the last words.")
    await agent.bye("STOPPED")
    ended = await on.becomes(session, "ENDED")
    assert ended["endReason"] == "SAVED"
    await on.is_deleted(room)
    assert await on.texts(session) == ["Good morning.", "Those were the last words."]
    assert job.told["session"] == session


async def test_new_chat_saves_the_previous_and_moves_to_another_room(on: Hall) -> None:
    """The previous session ends with its words and without its room; the next has its own."""
    worker = await on.worker()
    session, agent, connection, _ = await on.talk(worker)
    agent.say("Keep this.")
    await agent.settled()

    started = await on.start(previous={"sessionId": session, "messages": []})
    await agent.bye("STOPPED")

    assert started["saved"]["isSaved"]
    assert started["connection"]["roomName"] != connection["roomName"]
    assert (await worker.job()).told["session"] == started["session"]["id"]
    await on.becomes(session, "ENDED")
    await on.is_deleted(connection["roomName"])
    assert await on.rooms(started["connection"]["roomName"])


async def test_a_deleted_conversation_loses_its_room(on: Hall) -> None:
    """Participants are disconnected."""
    started = await on.start()
    room = await on.person(started["connection"])

    await on.delete(started["session"]["id"])

    await on.is_deleted(started["connection"]["roomName"])

    async def is_out() -> bool:
        return not room.isconnected()

    await until(is_out)


async def test_a_room_that_a_killed_server_left_is_deleted_by_the_next(
    start_server: StartServer, livekit: LiveKitServer
) -> None:
    """The room is deleted whether the session ended before the kill or after the restart."""
    server = start_server(VOXQL_AGENT="livekit", VOXQL_GRACE_S="0.5", **livekit.settings)
    async with hall(server, livekit) as on:
        worker = await on.worker()
        session, agent, connection, _ = await on.talk(worker)
        other = await on.start()
        await on.save(session)  # ENDING: the agent is still connected
        server.kill()
        await agent.vanish()
        # As if the process had been killed between the end and the room's deletion.
        left = other["connection"]["roomName"]
        _end_behind_its_back(server, other["session"]["id"])

        server.start()

        await on.becomes(session, "ENDED")
        await on.is_deleted(connection["roomName"])
        await on.is_deleted(left)


async def test_rooms_of_others_on_the_same_livekit_are_left_alone(
    start_server: StartServer, livekit: LiveKitServer, on: Hall
) -> None:
    """A development server on the same LiveKit must not end the real one's conversations."""
    mine = (await on.start())["connection"]["roomName"]
    await on.api.room.create_room(api.CreateRoomRequest(name="voxql-of-nobody", empty_timeout=600))
    server = start_server(VOXQL_AGENT="livekit", **livekit.settings)

    async with hall(server, livekit) as others:
        theirs = await others.start()
        await others.save(theirs["session"]["id"])
        await others.is_deleted(theirs["connection"]["roomName"])

        async def has_searched() -> bool:
            return 'call="list_rooms",outcome="ok"' in await others.metrics()

        await until(has_searched)

    assert await on.rooms(mine)
    assert await on.rooms("voxql-of-nobody")


async def test_without_a_worker_the_agent_times_out_and_a_retry_works(on: Hall) -> None:
    """The session fails after the timeout; a later worker gets one job, of the newest attempt."""
    started = await on.start()
    session, room = started["session"]["id"], started["connection"]["roomName"]
    failed = await on.becomes(session, "FAILED")
    assert failed["failure"]["code"] == "AGENT_TIMEOUT"
    assert failed["failure"]["isRetryable"]
    with pytest.raises(Refused) as refused:
        await on.join(session)
    assert refused.value.code == "AGENT_UNAVAILABLE"
    worker = await on.worker()

    retried = await on.retry(session)

    assert retried["session"]["status"] == "STARTING"
    assert retried["connection"]["roomName"] == room
    job = await worker.job()
    assert job.told["attempt"] >= 2
    while job.told["attempt"] < attempt_of((await on.dispatches(room))[0]):
        # The server had redispatched by itself in the same moment.
        job = await worker.job()
    await on.agent(job)
    await on.becomes(session, "ACTIVE")


async def test_an_agent_that_comes_late_makes_the_session_active(on: Hall) -> None:
    """Its job was accepted in time, but it was not ready in time."""
    worker = await on.worker()
    started = await on.start()
    session = started["session"]["id"]
    job = await worker.job()
    await on.becomes(session, "FAILED")

    agent = await on.agent(job)

    await on.becomes(session, "ACTIVE")
    agent.say("Sorry that I am late.")
    await agent.settled()
    assert await on.texts(session) == ["Sorry that I am late."]
    assert (await on.join(session))["connection"]["token"]


async def test_a_retry_leaves_no_second_agent(on: Hall) -> None:
    """The first attempt's job ends, its participant is removed, and the bridge fences it."""
    worker = await on.worker()
    started = await on.start()
    session, room = started["session"]["id"], started["connection"]["roomName"]
    first = await worker.job()
    await on.enter(first.url, first.token)
    await on.becomes(session, "FAILED")

    await on.retry(session)

    second = await worker.job()
    assert (first.told["attempt"], second.told["attempt"]) == (1, 2)

    async def has_left() -> bool:
        return first.identity not in await on.people(room)

    await until(has_left)
    assert len(await on.api.agent_dispatch.list_dispatch(room)) == 1
    await on.agent(second)
    await on.becomes(session, "ACTIVE")
    late = await on.bridge(first)
    late.say("I am still here.", final=False)
    await late.answered()
    assert await on.texts(session) == []


async def test_a_killed_worker_is_replaced_by_itself(on: Hall) -> None:
    """Another worker gets the job within seconds; earlier words are kept."""
    killed = await on.worker()
    session, agent, _, _ = await on.talk(killed)
    agent.say("Said before the end.")
    await agent.settled()
    other = await on.worker()

    await agent.vanish()
    await killed.vanish()

    while (job := await other.job()).told["attempt"] != 2:
        pass  # LiveKit itself may reassign the first job
    again = await on.agent(job)
    await on.becomes(session, "ACTIVE")
    again.say("And after it.")
    await again.settled()
    assert await on.texts(session) == ["Said before the end.", "And after it."]


async def test_any_agent_may_be_asked_for_by_name(on: Hall) -> None:
    """LiveKit lists no agents: an unknown one is only found by the timeout."""
    on.agent_name = "somebody.elses-agent"
    worker = await on.worker()

    started = await on.start()

    assert (await worker.job()).told["session"] == started["session"]["id"]


async def test_readyz_says_that_livekit_answers(on: Hall) -> None:
    """The number of free places in LiveKit workers is unknown."""

    async def look() -> dict[str, Any] | None:
        status, body = await on.readiness()
        return body if status == 200 else None

    body = await until(look)

    assert (body["status"], body["livekit"], body["freePlaces"]) == ("ready", "ready", None)


def _end_behind_its_back(server: ServerProcess, session: str) -> None:
    with closing(sqlite3.connect(server.data_dir / "voxql.db")) as database:
        database.execute(
            "UPDATE sessions SET status = 'ENDED', end_reason = 'SAVED', start_by = NULL, "
            "ended_at = created_at WHERE id = ?",
            (session,),
        )
        database.commit()


async def test_an_agent_may_leave_before_its_room_is_deleted(on: Hall) -> None:
    """The room is deleted after the agent left; otherwise LiveKit would count its job as failed."""
    session, agent, connection, job = await on.talk(await on.worker())
    inside = await on.enter(job.url, job.token)
    await on.save(session)
    await agent.bye("STOPPED")
    await on.becomes(session, "ENDED")
    assert await on.rooms(connection["roomName"]) != []
    assert inside.isconnected()

    await inside.disconnect()

    await on.is_deleted(connection["roomName"])


async def test_an_agent_that_does_not_leave_is_sent_out(on: Hall) -> None:
    """After three seconds the room is deleted with the agent in it."""
    session, agent, connection, job = await on.talk(await on.worker())
    inside = await on.enter(job.url, job.token)
    gone = asyncio.Event()
    inside.on("disconnected", lambda *_: gone.set())
    await on.save(session)
    await agent.bye("STOPPED")

    await on.is_deleted(connection["roomName"])

    async with asyncio.timeout(30):
        await gone.wait()
