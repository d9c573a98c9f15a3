"""Readers in one process get what another process commits and publishes."""

import pytest

from hub.events import (
    TranscriptCommitted,
    TranscriptEnded,
    transcripts_topic,
)
from models.tables import SessionStatus
from resolvers.sessions import manage
from tests.resolvers.several.processes import Processes
from tests.resolvers.stage import Stage, taken


async def test_words_are_read_in_another_process(here: Stage, there: Stage) -> None:
    """A reader there gets interims and finals from an agent here, then the end."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()

    await agent.say("he", final=False)
    await agent.say("hello", final=False)
    await agent.say("hello there")

    while reading.texts != ["hello there"]:
        await reading.next()
    await agent.bye()
    [*_, last] = await reading.rest()
    assert last.end is not None
    assert last.end.reason == "SESSION_ENDED"


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_lost_events_are_found_in_the_database(
    two: Processes, here: Stage, there: Stage, is_deleted: bool
) -> None:
    """The last event of a session included."""
    session, agent = await here.talk()
    reading, updates = await there.watch(session), await there.watch_sessions(session)
    await reading.caught_up()
    await updates.next()
    two.bus.is_quick = False
    await agent.say("never heard of", "SG_1")
    await agent.say("again", "SG_2")
    if is_deleted:
        await manage.delete_session(here.backend.transactions, here.viewer, session.id)
    else:
        await agent.bye()
    two.bus.lose()

    await two.compare()

    [*_, last] = await reading.rest()
    assert last.end is not None
    assert last.end.reason == ("SESSION_DELETED" if is_deleted else "SESSION_ENDED")
    if is_deleted:
        assert (await updates.next()).deleted_session_id == session.id
    else:
        assert reading.texts == ["never heard of", "again"]
        assert (await updates.next()).session.status is SessionStatus.ENDED


async def test_what_was_missed_is_told_once(two: Processes, here: Stage, there: Stage) -> None:
    """A comparison that finds nothing new publishes nothing."""
    session, agent = await here.talk()
    await agent.say("hello")
    topic = transcripts_topic(session.id)
    with there.backend.hub.subscribe(topic) as subscription:
        await two.compare()
        assert [type(event) for event in taken(subscription)] == [TranscriptCommitted]
        await two.compare()
        assert taken(subscription) == []


async def test_the_last_words_come_before_an_end_that_overtakes_them(
    two: Processes, here: Stage, there: Stage
) -> None:
    """The end comes from the process that ended it, and the words from another."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()
    two.bus.is_quick = False
    await agent.say("the last word")
    late = [one for one in two.bus.under_way if one[1] == transcripts_topic(session.id)]
    two.bus.lose()
    await agent.bye()
    two.bus.deliver()

    [*_, last] = await reading.rest()

    assert last.end is not None
    assert last.end.reason == "SESSION_ENDED"
    assert reading.texts == ["the last word"]
    assert late, "the commit was published"


async def test_commits_of_two_processes_come_in_any_order(
    two: Processes, here: Stage, there: Stage
) -> None:
    """A reader that gets the later commit first reads the earlier one from the database."""
    session, agent = await here.talk()
    reading = await there.watch(session)
    await reading.caught_up()
    two.bus.is_quick = False
    await agent.say("said here")
    await there.type(session, "typed there")
    two.bus.under_way.reverse()
    two.bus.deliver()

    while reading.texts != ["said here", "typed there"]:
        await reading.next()


async def test_changes_of_other_conversations_are_found(
    two: Processes, here: Stage, there: Stage
) -> None:
    """A subscriber to all of a user's sessions learns which ones started, ended or were deleted."""
    ended, agent = await here.talk()
    deleted, _ = await here.talk()
    updates = await there.watch_sessions()
    await updates.next()
    await two.compare()
    for _ in range(2):
        await updates.next()
    two.bus.is_quick = False
    assert there.backend.lost_events is not None
    await there.backend.lost_events.look({transcripts_topic(ended.id)})
    begun = await here.start()
    await agent.bye()
    await manage.delete_session(here.backend.transactions, here.viewer, deleted.id)
    two.bus.lose()

    await two.compare()

    found = [await updates.next() for _ in range(3)]
    told = {one.session.id: one.session.status for one in found if one.session is not None}
    assert told == {begun.id: SessionStatus.STARTING, ended.id: SessionStatus.ENDED}
    assert [one.deleted_session_id for one in found if one.session is None] == [deleted.id]


async def test_a_deleted_conversation_does_not_come_back(
    two: Processes, here: Stage, there: Stage
) -> None:
    """An older state that arrives after the deletion is dropped."""
    session, agent = await here.talk()
    updates = await there.watch_sessions()
    await updates.next()
    two.bus.is_quick = False
    await agent.say("something")
    late, two.bus.under_way = two.bus.under_way, []
    await manage.delete_session(there.backend.transactions, there.viewer, session.id)
    assert (await updates.next()).deleted_session_id == session.id
    two.bus.under_way = late
    two.bus.deliver()

    begun = await there.start()

    assert (await updates.next()).session.id == begun.id


async def test_an_end_is_told_once_for_each_stream(here: Stage, there: Stage) -> None:
    """Events of both processes reach the readers of both."""
    session, agent = await here.talk()
    with there.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        await agent.bye()
        ends = [one for one in taken(subscription) if isinstance(one, TranscriptEnded)]
        assert ends == [TranscriptEnded(session.id, "SESSION_ENDED", 0)]


async def test_a_topic_that_was_behind_the_database_is_counted(
    two: Processes, here: Stage, there: Stage
) -> None:
    """Once; one whose events arrive is not, nor one that has just been subscribed to."""
    session, agent = await here.talk()
    await agent.say("long before", "SG_1")
    reading = await there.watch(session)
    await reading.caught_up()
    await two.compare()
    await agent.say("heard", "SG_2")
    await two.compare()
    assert there.backend.metrics.caught_up == 0

    two.bus.is_quick = False
    await agent.say("never heard of", "SG_3")
    two.bus.lose()
    await two.compare()
    await two.compare()

    assert there.backend.metrics.caught_up == 1
