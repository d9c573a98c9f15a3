"""Late words: a conversation is not reported as ended while its agent may still hand in words.

The rules are in the design, §3, "saveSession", 6.
"""

from collections.abc import Awaitable, Callable

import pytest

from agent_bridge.protocol import Ack
from models.tables import EndReason, Session, SessionStatus
from resolvers.sessions import starting
from resolvers.transcripts.watching import StreamEnd
from tests.resolvers.stage import Stage, message

End = Callable[[Stage, Session], Awaitable[object]]

OVER = StreamEnd("SESSION_ENDED", may_resume=False)


async def saved(stage: Stage, session: Session) -> None:
    await stage.backend.saving.save_session(stage.viewer, session.id, [])


async def replaced(stage: Stage, session: Session) -> None:
    await stage.backend.chats.start_new_chat(
        stage.viewer, previous=starting.Previous(session.id, [])
    )


async def abandoned(stage: Stage, session: Session) -> None:
    """The user was away for a minute; the agent's connection broke just before that."""
    await stage.media.person_left(session.id)
    await stage.pass_by(59)
    await stage.talker(session).lose()
    await stage.pass_by(1)


@pytest.mark.parametrize("end", [saved, replaced, abandoned])
async def test_an_agent_that_is_away_for_a_moment_is_waited_for(stage: Stage, end: End) -> None:
    """The session is ENDING until the agent comes back, hands in its words and leaves."""
    session, agent = await stage.talk()
    await agent.say("first", "SG_1")
    reading = await stage.watch(session)
    await reading.caught_up()
    if end is abandoned:
        await reading.close()  # a subscriber counts as the user's presence
    else:
        await agent.lose()
        await stage.pass_by(0.3)

    await end(stage, session)

    if end is abandoned:
        reading = await stage.watch(session)
        await reading.caught_up()
    assert (await stage.read(session)).status is SessionStatus.ENDING
    back = stage.talker(session, connection="con-2")
    assert (await back.hello()).stop_reason == (await stage.read(session)).end_reason
    assert isinstance(await back.say("second", "SG_2"), Ack)
    await reading.next()
    assert reading.texts == ["first", "second"]
    await back.bye()
    [*_, last] = await reading.rest()
    assert last.end == OVER
    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_an_agent_that_does_not_come_back_is_waited_for_10_seconds(stage: Stage) -> None:
    """Then the session and its streams end."""
    session, agent = await stage.talk()
    await agent.lose()
    await saved(stage, session)

    await stage.pass_by(9.999)
    assert (await stage.read(session)).status is SessionStatus.ENDING
    await stage.pass_by(0.001)

    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_an_agent_that_has_been_away_for_longer_is_not_waited_for(stage: Stage) -> None:
    """The protocol's longest reconnect pause is over."""
    session, agent = await stage.talk()
    await agent.lose()
    stage.agents.places = 0
    await stage.pass_by(10)

    await saved(stage, session)

    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_no_agent_is_waited_for_that_never_came_or_said_bye(stage: Stage) -> None:
    """The conversation ends at once."""
    never = await stage.start()
    await saved(stage, never)
    left, agent = await stage.talk()
    await agent.bye("RESTARTING")
    await saved(stage, left)

    for session in (never, left):
        assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_an_agent_that_said_bye_ends_what_is_ending(stage: Stage) -> None:
    """Even with RESTARTING, because it has reported everything."""
    session, agent = await stage.talk()
    await saved(stage, session)
    assert (await stage.read(session)).status is SessionStatus.ENDING

    await agent.bye("RESTARTING")

    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_after_a_restart_every_agent_may_come_back(stage: Stage) -> None:
    """The server does not know which agents had reported everything."""
    session, agent = await stage.talk()
    await agent.say("first", "SG_1")
    stage.backend.connections._sessions.clear()
    await stage.backend.reaper.recover()

    await saved(stage, session)

    assert (await stage.read(session)).status is SessionStatus.ENDING
    back = stage.talker(session, connection="con-2")
    await back.hello()
    await back.bye()
    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_a_fenced_agent_that_drains_is_waited_for(stage: Stage) -> None:
    """Its successor has said `bye`; its own late words are delivered before the end."""
    session, old = await stage.talk()
    await old.say("so fa", "SG_1", final=False)
    await old.lose()
    await stage.pass_by(5)
    await stage.talker(session, 1, "con-2").hello()
    new = stage.talker(session, 2, "con-3")
    await new.come()
    reading = await stage.watch(session)
    await reading.caught_up()

    await new.bye()

    row = await stage.read(session)
    assert (row.status, row.end_reason) == (SessionStatus.ENDING, EndReason.AGENT_LEFT)
    draining = stage.talker(session, 1, "con-2")
    assert isinstance(await draining.say("so far so good", "SG_1", revision=2), Ack)
    await draining.bye()
    await reading.rest()
    assert reading.texts == ["so far so good"]
    assert (await stage.read(session)).status is SessionStatus.ENDED


async def test_a_final_after_the_end_is_told(stage: Stage) -> None:
    """`sessionUpdates` brings a higher version; resuming from the cursor brings the words."""
    session, agent = await stage.talk()
    await agent.say("first", "SG_1")
    reading = await stage.watch(session)
    await reading.caught_up()
    await agent.say("half a sen", "SG_2", final=False)
    await reading.next()
    await saved(stage, session)
    await stage.pass_by(10)
    [*_, last] = await reading.rest()
    assert last.end == OVER
    watcher = await stage.watch_sessions(session)
    before = (await watcher.next()).session
    assert before.status is SessionStatus.ENDED

    # It settles an existing line, so neither the count nor the preview changes.
    assert isinstance(await agent.say("half a sentence", "SG_2"), Ack)

    after = (await watcher.next()).session
    assert after.version == before.version + 1
    assert (after.utterance_count, after.ended_at) == (2, before.ended_at)
    later = await stage.watch(session, reading.cursor)
    await later.rest()
    assert later.texts == ["half a sentence"]


async def test_messages_that_are_saved_after_the_end_are_told(stage: Stage) -> None:
    """The same rule applies."""
    session, agent = await stage.talk()
    await agent.bye()
    watcher = await stage.watch_sessions(session)
    before = (await watcher.next()).session

    await stage.backend.saving.save_session(stage.viewer, session.id, [message("a")])

    assert (await watcher.next()).session.version == before.version + 1


async def test_an_agent_that_comes_after_the_end_changes_nothing(stage: Stage) -> None:
    """Unfinished rows keep their revision, because nobody would be told of a new one."""
    session, agent = await stage.talk()
    await agent.say("half a sen", "SG_1", final=False)
    await saved(stage, session)
    await stage.pass_by(10)
    [row] = await stage.rows(session)
    before = await stage.read(session)

    await stage.talker(session, connection="con-2").hello()

    [again] = await stage.rows(session)
    assert (again.revision, again.seq) == (row.revision, row.seq)
    assert (await stage.read(session)).version == before.version
