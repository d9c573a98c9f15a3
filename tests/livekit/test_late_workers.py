"""Late workers get the sessions that wait; there is never a second agent."""

import asyncio
import json
from typing import Any

from tests.conftest import StartServer
from tests.livekit.hall import Hall, hall, until
from tests.livekit.worker import Job, Worker
from tests.programs.livekit_server import LiveKitServer


async def _listed(on: Hall, room: str) -> list[str]:
    """Wait until LiveKit lists a job of the room's dispatches; return all job ids."""

    async def look() -> list[str]:
        return [job.id for asked in await on.dispatches(room) for job in asked.state.jobs]

    jobs: list[str] = await until(look)
    return jobs


async def test_a_worker_that_says_it_has_come_is_asked_at_once(on: Hall) -> None:
    """A worker that announces itself a second late gets a dispatch that replaces the old one."""
    started = await on.start()
    room = started["connection"]["roomName"]
    first = await on.waits_for(room, 1.0)
    worker = await on.worker(announces=True)

    job = await worker.job()

    await on.was_asked_at_once(room, first)
    assert job.told["session"] == started["session"]["id"]
    [asked] = await on.dispatches(room)
    assert json.loads(asked.metadata)["voxql"]["attempt"] == job.told["attempt"] == 2
    await on.agent(job)
    await on.becomes(started["session"]["id"], "ACTIVE")


async def test_a_worker_that_says_nothing_is_asked_within_seconds(on: Hall) -> None:
    """LiveKit lists jobs five seconds late; until then a missing job is not noticed.

    By then the start has timed out, but the conversation becomes active all the same.
    """
    started = await on.start()
    session = started["session"]["id"]
    await on.waits_for(started["connection"]["roomName"], 0.5)
    worker = await on.worker()

    job = await worker.job()

    await on.agent(job)
    await on.becomes(session, "ACTIVE")
    assert len(worker.taken) == 1


async def test_a_slow_start_and_a_second_worker_make_no_second_agent(on: Hall) -> None:
    """LiveKit does not list the first job yet when the second worker announces itself."""
    started = await on.start()
    session, room = started["session"]["id"], started["connection"]["roomName"]
    before = await on.waits_for(room, 1.0)
    first = await on.worker(announces=True)
    job = await first.job()
    await on.was_asked_at_once(room, before)
    second = await on.worker(announces=True)

    jobs = await _listed(on, room)
    await on.waits_for(room, 8.0)

    assert jobs == await _listed(on, room) == [job.id]
    assert list(first.taken) == [job.id]
    assert not second.taken
    assert not job.is_terminated.is_set()
    await on.agent(job)
    await on.becomes(session, "ACTIVE")


async def test_two_workers_that_come_at_once_make_one_agent(on: Hall) -> None:
    """Only one of the two workers gets a job."""
    started = await on.start()
    session, room = started["session"]["id"], started["connection"]["roomName"]
    await on.waits_for(room, 1.0)

    workers = await asyncio.gather(*(on.worker(announces=True) for _ in range(2)))

    job = await _first_job(workers)
    assert await _listed(on, room) == [job.id]
    await on.agent(job)
    await on.becomes(session, "ACTIVE")
    assert sum(len(worker.taken) for worker in workers) == 1


async def test_a_single_worker_that_dies_gets_its_conversation_back(on: Hall) -> None:
    """The worker returns after one attempt without it, and gets the next job."""
    dying = await on.worker()
    session, agent, connection, _ = await on.talk(dying)
    agent.say("Said before the end.")
    await agent.settled()
    await agent.vanish()
    await dying.vanish()
    await on.becomes(session, "STARTING")
    before = await on.waits_for(connection["roomName"], 1.0, attempt=2)

    job = await (await on.worker(announces=True)).job()

    await on.was_asked_at_once(connection["roomName"], before)
    again = await on.agent(job)
    await on.becomes(session, "ACTIVE")
    again.say("And after it.")
    await again.settled()
    assert await on.texts(session) == ["Said before the end.", "And after it."]
    assert len(await on.dispatches(connection["roomName"])) == 1


async def test_an_agent_that_comes_by_an_older_wish_is_fenced_off(on: Hall) -> None:
    """Nothing is stored from the agent of a dispatch that was withdrawn as it started."""
    started = await on.start()
    session, room = started["session"]["id"], started["connection"]["roomName"]
    [asked] = await on.dispatches(room)
    await on.waits_for(room, 1.0)
    worker = await on.worker(announces=True)
    job = await worker.job()
    late = Job("", "", room, "", asked.metadata, on.livekit.url, "")

    older = await on.bridge(late)
    older.say("I am the first.", final=False)
    await older.answered()

    agent = await on.agent(job)
    await on.becomes(session, "ACTIVE")
    agent.say("I am the only one.")
    await agent.settled()
    assert await on.texts(session) == ["I am the only one."]


async def test_a_restarted_server_knows_who_has_a_job_and_who_waits(
    start_server: StartServer, livekit: LiveKitServer
) -> None:
    """After a restart the slow agent keeps its job, and the waiting session gets an agent."""
    server = start_server(VOXQL_AGENT="livekit", VOXQL_START_TIMEOUT_S="60", **livekit.settings)
    async with hall(server, livekit) as on:
        slow = await on.worker()
        taken = await on.start()
        job = await slow.job()
        on.agent_name = f"late-{on.agent_name}"
        waiting = await on.start()
        server.kill()
        await on.waits_for(waiting["connection"]["roomName"], 1.0)
        server.start()
        late = await on.worker(announces=True)

        await on.agent(await late.job())

        await on.becomes(waiting["session"]["id"], "ACTIVE")
        await on.waits_for(taken["connection"]["roomName"], 9.0)
        assert list(slow.taken) == await _listed(on, taken["connection"]["roomName"]) == [job.id]
        await on.agent(job)
        await on.becomes(taken["session"]["id"], "ACTIVE")


async def _first_job(workers: list[Worker]) -> Job:
    waiting = [asyncio.create_task(worker.job()) for worker in workers]
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    job: Any = done.pop().result()
    assert isinstance(job, Job)
    return job
