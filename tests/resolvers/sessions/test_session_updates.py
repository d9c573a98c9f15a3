"""The stream of session updates."""

import asyncio

import pytest

from models.tables import SessionStatus
from resolvers.sessions import manage
from tests.resolvers.stage import Stage


async def test_a_session_is_told_with_every_change_of_it(stage: Stage) -> None:
    """First comes its current state, then each committed change, even a rename after the end."""
    session = await stage.start()
    watcher = await stage.watch_sessions(session)
    updates = [await watcher.next()]
    agent = stage.talker(session)
    await agent.come()
    updates.append(await watcher.next())
    await agent.say("hello")
    updates.append(await watcher.next())
    await stage.backend.saving.save_session(stage.viewer, session.id, [])
    updates.append(await watcher.next())
    await agent.bye()
    while updates[-1].session.status is not SessionStatus.ENDED:
        updates.append(await watcher.next())
    await manage.rename_session(stage.backend.transactions, stage.viewer, session.id, "Named")
    updates.append(await watcher.next())

    told = [(each.session.status.value, each.session.version) for each in updates]
    assert list(dict.fromkeys(told)) == [
        ("STARTING", 1),
        ("ACTIVE", 2),
        ("ACTIVE", 3),
        ("ENDING", 4),
        ("ENDED", 5),
        ("ENDED", 6),
    ]
    assert updates[-1].session.shown_title == "Named"


async def test_all_of_a_viewers_sessions_are_told_and_nobody_elses(stage: Stage) -> None:
    """The first event is empty: a list read after it misses no change."""
    watcher = await stage.watch_sessions()
    first = await watcher.next()
    assert (first.session, first.deleted_session_id, first.end) == (None, None, None)
    other = await stage.somebody_else()

    await stage.backend.chats.start_new_chat(other)
    mine = await stage.start()

    assert (await watcher.next()).session.id == mine.id


async def test_a_failed_start_is_told(stage: Stage) -> None:
    """STARTING, then FAILED with the code, then STARTING again."""
    session = await stage.start()
    watcher = await stage.watch_sessions(session)
    await watcher.next()

    await stage.pass_by(5)
    failed = (await watcher.next()).session
    await stage.backend.chats.retry_agent(stage.viewer, session.id)
    again = (await watcher.next()).session

    assert (failed.status, failed.failure_code) == (SessionStatus.FAILED, "AGENT_TIMEOUT")
    assert (again.status, again.failure_code) == (SessionStatus.STARTING, None)


async def test_a_stream_that_is_dropped_leaves_nothing_behind(stage: Stage) -> None:
    """Subscriptions go whether the stream is closed or its task is cancelled."""
    session, _ = await stage.talk()
    hub = stage.backend.hub
    closed = await stage.watch(session)
    await closed.caught_up()
    await closed.close()
    cancelled = await stage.watch(session)
    await cancelled.caught_up()
    waiting = asyncio.ensure_future(cancelled.next())
    asyncio.get_running_loop().call_soon(waiting.cancel)
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert hub.watched("transcripts:") == []
    assert hub.watched("access:") == []
