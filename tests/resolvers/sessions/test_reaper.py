"""The reaper acts on each deadline once, even after a restart."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent_bridge.server.workers import NoWorker, StartRequest
from hub.local import LocalHub
from models.database import OperationalError, reader
from models.repositories.deadlines import COLUMNS
from models.tables import EndReason, IdempotencyRecord, Session, SessionStatus
from resolvers.backend import Backend
from resolvers.sessions import manage
from resolvers.sessions.reaper import Reaper
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.stage import Stage, message, rebuild, staged


@pytest.fixture
async def stage(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    async with staged(backend, clock, is_running=False) as stage:
        yield stage


async def restart(stage: Stage) -> int:
    """Continue as a new process on the same database; everything in memory is lost."""
    backend = stage.backend
    rebuild(backend, hub=LocalHub())
    stage.__post_init__()
    return await backend.reaper.recover()


async def test_a_session_that_was_starting_goes_on_starting(stage: Stage) -> None:
    """Its agent is asked for again with the full time, and may come by itself."""
    session = await stage.start()
    await stage.pass_by(4)
    await restart(stage)
    assert len(stage.agents.asked) == 1

    await stage.pass_by(0.5)

    assert [request.key for request in stage.agents.asked] == [(session.id, 1)] * 2
    await stage.pass_by(4.4)
    assert (await stage.read(session)).status is SessionStatus.STARTING
    await stage.talker(session, connection="con-2").come()
    assert (await stage.read(session)).status is SessionStatus.ACTIVE


async def test_an_agent_that_came_back_by_itself_is_not_asked_for_again(stage: Stage) -> None:
    """The previous process had asked for it."""
    session = await stage.start()
    await restart(stage)

    await stage.talker(session).hello()
    await stage.pass_by(1)

    assert len(stage.agents.asked) == 1


async def test_workers_that_reconnect_after_a_restart_are_waited_for(stage: Stage) -> None:
    """A session started meanwhile does not fail for lack of an agent."""
    await restart(stage)
    stage.agents.refusal = NoWorker("none is connected yet")
    session = await stage.start()
    assert session.status is SessionStatus.STARTING
    await stage.pass_by(2)
    assert (await stage.read(session)).status is SessionStatus.STARTING

    stage.agents.refusal = None
    await stage.pass_by(0.5)

    assert [request.key for request in stage.agents.asked] == [(session.id, 1)]


async def test_a_worker_that_does_not_come_back_is_an_outcome(stage: Stage) -> None:
    """While workers may reconnect, a start times out; later it fails at once."""
    await restart(stage)
    stage.agents.refusal = NoWorker("none is connected")
    session = await stage.start()
    await stage.pass_by(5)
    assert (await stage.read(session)).failure_code == "AGENT_TIMEOUT"

    await stage.pass_by(5)

    later = await stage.start()
    assert (later.status, later.failure_code) == (SessionStatus.FAILED, "AGENT_UNAVAILABLE")


async def test_nothing_is_written_while_nothing_is_due(stage: Stage) -> None:
    """Sessions in several statuses are untouched just before their deadlines."""
    await stage.start()
    await stage.talk()
    ending, _ = await stage.talk()
    await stage.backend.saving.save_session(stage.viewer, ending.id, [message("a")])
    await stage.pass_by(0)
    before = await dump()

    await stage.pass_by(4.999)

    assert await dump() == before


async def test_what_is_over_waits_for_nothing(stage: Stage) -> None:
    """An ENDED session has no deadline, however it ended."""
    for reason in EndReason:
        session, agent = await stage.talk(with_person=False)
        if reason is EndReason.SAVED:
            await stage.backend.saving.save_session(stage.viewer, session.id, [])
            await stage.pass_by(10)
        elif reason is EndReason.AGENT_LEFT:
            await agent.bye()
        elif reason is EndReason.ABANDONED:
            await stage.pass_by(60)
            await stage.pass_by(10)
        else:
            session = await stage.start()
            await stage.pass_by(5)
            await stage.pass_by(60)
        row = await stage.read(session)
        assert (row.status, row.end_reason) == (SessionStatus.ENDED, reason)
        assert [getattr(row, column) for column in COLUMNS] == [None] * len(COLUMNS)


async def test_many_deadlines_pass_at_once(stage: Stage) -> None:
    """All of them are acted on, in batches."""
    started = [await stage.start() for _ in range(5)]

    await stage.pass_by(5)

    failed = Session.filter(status=SessionStatus.FAILED).using_db(reader())
    assert await failed.count() == len(started)


async def test_a_deadline_that_was_moved_meanwhile_is_left_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reaper checks again under the row's lock, so an agent that just got ready stays."""
    session = await stage.start()
    agent = stage.talker(session)
    act = Reaper._act

    async def late(reaper: Reaper, session_id: str) -> None:
        await agent.come()
        await act(reaper, session_id)

    with monkeypatch.context() as patch:
        patch.setattr(Reaper, "_act", late)
        await stage.pass_by(5)

    assert (await stage.read(session)).status is SessionStatus.ACTIVE


async def test_two_reapers_act_once(stage: Stage) -> None:
    """A second reaper, in any process, finds nothing to do."""
    session = await stage.start()
    stage.clock.pass_by(seconds=5)
    await stage.reaper.look()
    before = await dump()

    await replace(stage.backend.reaper).look()

    assert await dump() == before
    assert (await stage.read(session)).version == 2


async def test_one_session_at_fault_does_not_keep_the_others_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faulty session is tried again the next time."""
    bad, good = await stage.start(), await stage.start()
    act = Reaper._act

    async def faulty(reaper: Reaper, session_id: str) -> None:
        if session_id == bad.id:
            raise OperationalError("the disk is full")
        await act(reaper, session_id)

    with monkeypatch.context() as patch:
        patch.setattr(Reaper, "_act", faulty)
        await stage.pass_by(5)
    assert (await stage.read(good)).status is SessionStatus.FAILED
    assert (await stage.read(bad)).status is SessionStatus.STARTING

    await stage.reaper.look()

    assert (await stage.read(bad)).status is SessionStatus.FAILED


async def test_idempotency_records_go_after_a_day(stage: Stage) -> None:
    """Nobody can use them any more."""
    await stage.start(idempotency_key="k")
    await stage.pass_by(24 * 3600)
    assert await IdempotencyRecord.all().using_db(reader()).count() == 1

    await stage.pass_by(600)

    assert await IdempotencyRecord.all().using_db(reader()).count() == 0


async def test_a_tombstone_stays_as_long_as_a_token_may_be_good(stage: Stage) -> None:
    """For more than 24 hours a late agent learns that the session is gone."""
    session = await stage.start()
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)
    await stage.pass_by(24 * 3600)
    tombstones = Session.filter(id=session.id).using_db(reader())
    assert await tombstones.exists()

    await stage.pass_by(3600 + 600)

    assert not await tombstones.exists()


# ---------------------------------------------------------------------- restarts


async def test_a_restart_starts_the_clocks_of_who_is_gone(stage: Stage) -> None:
    """If the agent comes back the conversation goes on; otherwise it is ABANDONED."""
    session, _ = await stage.talk()
    abandoned, _ = await stage.talk()
    assert await restart(stage) == 2
    row = await stage.read(session)
    assert row.agent_retry_by is not None
    assert row.person_back_by is not None

    stage.agents.places = 0
    back = stage.talker(session, connection="con-2")
    await back.come()
    await stage.media.person_came(session.id)
    for _ in range(12):
        await stage.pass_by(5)

    assert (await stage.read(session)).status is SessionStatus.ACTIVE
    assert (await stage.read(abandoned)).end_reason is EndReason.ABANDONED


async def test_deadlines_survive_a_restart(stage: Stage) -> None:
    """They are columns, so they are acted on late if the server was down."""
    gone = await stage.start()
    await stage.pass_by(5)
    ending, _ = await stage.talk()
    await stage.backend.saving.save_session(stage.viewer, ending.id, [])
    stage.clock.pass_by(seconds=3600)
    await restart(stage)

    await stage.reaper.look()

    assert (await stage.read(gone)).end_reason is EndReason.START_FAILED
    row = await stage.read(ending)
    assert (row.status, row.end_reason) == (SessionStatus.ENDED, EndReason.SAVED)


async def test_what_may_still_change_is_committed_again(stage: Stage) -> None:
    """Its revision exceeds every one a client may hold; final and ended rows are left alone."""
    session, agent = await stage.talk()
    agent.report("h")
    final = agent.report("done", "SG_2", final=True)
    await stage.backend.writer.commit_waiting()
    await final
    over, other = await stage.talk()
    other.report("h")
    await stage.backend.writer.commit_waiting()
    await other.bye()
    before = {row.key: row for row in await stage.rows(session)}
    untouched = [(row.revision, row.seq, row.text) for row in await stage.rows(over)]

    await restart(stage)

    after = {row.key: row for row in await stage.rows(session)}
    assert after["SG_1"].revision == before["SG_1"].ceiling + 1
    assert after["SG_1"].seq == 3
    assert after["SG_2"].revision == before["SG_2"].revision
    assert [(row.revision, row.seq, row.text) for row in await stage.rows(over)] == untouched


async def test_restarting_twice_costs_no_version(stage: Stage) -> None:
    """Nothing that a client sees has changed."""
    session, _ = await stage.talk()
    await restart(stage)
    await restart(stage)

    assert (await stage.read(session)).version == session.version


async def test_an_attempt_that_was_asked_for_goes_on_after_a_restart(stage: Stage) -> None:
    """Its token is still valid, and retryAgent works too."""
    session = await stage.start()
    await restart(stage)
    await stage.talker(session).come()
    assert (await stage.read(session)).status is SessionStatus.ACTIVE

    await restart(stage)
    assert (await stage.backend.chats.retry_agent(stage.viewer, session.id)).session.attempt == 2


async def test_asking_for_an_agent_keeps_no_deadline_waiting(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may take seconds to answer; meanwhile other deadlines still pass."""
    lost, agent = await stage.talk()
    await agent.lose()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(request: StartRequest) -> None:
        asked.set()
        await answer.wait()

    monkeypatch.setattr(stage.agents, "start", slow)
    stage.clock.pass_by(seconds=5)
    await stage.reaper.look()
    async with asyncio.timeout(30):
        await asked.wait()
    assert (await stage.read(lost)).status is SessionStatus.STARTING

    stage.clock.pass_by(seconds=5)
    await stage.reaper.look()

    assert (await stage.read(lost)).failure_code == "AGENT_TIMEOUT"
    answer.set()
    await stage.reaper.asked()
    assert (await stage.read(lost)).status is SessionStatus.FAILED
