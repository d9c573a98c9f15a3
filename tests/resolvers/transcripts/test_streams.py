"""Transcript streams: live, replayed, and ended with a reason."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from hub import subscription
from hub.events import (
    SERVER_TOPIC,
    InterimHeard,
    ServerStopping,
    TranscriptCommitted,
    transcripts_topic,
)
from hub.local import LocalHub
from models.database import transact
from resolvers.accounts import authentication
from resolvers.refusals import BadUserInput, Forbidden, NotFound, Unauthenticated
from resolvers.sessions import manage, updates
from resolvers.transcripts import cursors, streams
from resolvers.transcripts.watching import StreamEnd
from resolvers.viewer import TokenScope
from tests.resolvers.people import Clock
from tests.resolvers.refused import refused
from tests.resolvers.stage import Stage, Watcher, message, rebuild

UNKNOWN = "ses_01kapmxvz3e0h9v6tq0b3x3yqd"


# ---------------------------------------------------------------------- replay


async def test_everything_is_replayed_then_marked(stage: Stage) -> None:
    """Committed rows come first, then current interims, then the caught-up marker."""
    session, agent = await stage.talk()
    await agent.say("one", "SG_1")
    await agent.say("t", "SG_2", final=False)
    await agent.say("tw", "SG_2", final=False)

    watcher = await stage.watch(session)
    events = await watcher.caught_up()

    assert [[each.text for each in event.utterances] for event in events] == [
        ["one", "t"],
        ["tw"],
        [],
    ]
    assert [event.is_caught_up for event in events] == [False, False, True]
    assert watcher.texts == ["one", "tw"]


async def test_an_empty_replay_is_marked_too(stage: Stage) -> None:
    """The first event is the marker, also when resuming from the newest cursor."""
    session, agent = await stage.talk()
    assert [event.utterances for event in await (await stage.watch(session)).caught_up()] == [()]

    await agent.say("one")
    cursor = cursors.transcript_cursor(await stage.read(session))

    [marker] = await (await stage.watch(session, cursor)).caught_up()
    assert (marker.utterances, marker.cursor) == ((), cursor)


async def test_after_a_cursor_comes_what_changed_since(stage: Stage) -> None:
    """An interim that became final and new utterances come; delivered ones do not."""
    session, agent = await stage.talk()
    await agent.say("one", "SG_1")
    await agent.say("tw", "SG_2", final=False)
    first = await stage.watch(session)
    await first.caught_up()
    await first.close()
    await agent.say("two", "SG_2")
    await agent.say("three", "SG_3")

    second = await stage.watch(session, first.cursor)
    [event, _] = await second.caught_up()

    assert [each.text for each in event.utterances] == ["two", "three"]


async def test_a_long_replay_comes_in_batches(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch has a cursor from which the next one follows."""
    monkeypatch.setattr(streams, "PAGE", 3)
    session = await stage.start()
    await stage.backend.saving.save_session(
        stage.viewer, session.id, [message(f"k{index}") for index in range(8)]
    )

    events = await (await stage.watch(session)).caught_up()

    assert [len(event.utterances) for event in events] == [3, 3, 2, 0]
    second = await stage.watch(session, events[1].cursor)
    assert [each.key for each in (await second.next()).utterances] == ["k6", "k7"]


async def test_what_happens_during_a_replay_is_not_missed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An utterance said between any two batches arrives, in order."""
    monkeypatch.setattr(streams, "PAGE", 2)
    session, agent = await stage.talk()
    for index in range(6):
        await agent.say(f"old {index}", f"old-{index}")
    watcher = await stage.watch(session)
    for index in range(5):
        await watcher.next()
        await agent.say(f"new {index}", f"new-{index}")

    while len(watcher.held) < 11:
        await watcher.next()

    assert watcher.texts == await stage.texts(session)


async def test_more_than_may_wait_during_a_replay_is_read_from_the_database(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is still replaying is not too slow, however much is said meanwhile."""
    monkeypatch.setattr(streams, "PAGE", 2)
    monkeypatch.setattr(subscription, "WEIGHT_BOUND", 0)
    session, agent = await stage.talk()
    for index in range(4):
        await agent.say(f"old {index}", f"old-{index}")
    watcher = await stage.watch(session)
    await watcher.next()
    # One more utterance than fits into a queue.
    many = [message(f"k{index}") for index in range(subscription.BOUND + 1)]
    for start in range(0, len(many), 501):
        await stage.backend.saving.save_session(stage.viewer, session.id, many[start : start + 501])
    for index in range(subscription.BOUND + 1):
        stage.backend.hub.publish(transcripts_topic(session.id), SimpleNamespace(number=index))

    await watcher.caught_up()

    assert watcher.texts == await stage.texts(session)


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_a_replay_ends_when_it_must(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_revoked: bool
) -> None:
    """After a revocation or shutdown the next event is the end, whatever is left to replay."""
    monkeypatch.setattr(streams, "PAGE", 2)
    session = await stage.start()
    await stage.backend.saving.save_session(
        stage.viewer, session.id, [message(f"k{index}") for index in range(8)]
    )
    watcher = await stage.watch(session)
    first = await watcher.next()

    if is_revoked:
        await authentication.sign_out(stage.backend.transactions, stage.viewer)
    else:
        stage.backend.hub.publish(SERVER_TOPIC, ServerStopping())
    [last] = await watcher.rest()

    assert last.end is not None
    assert last.end.reason == ("ACCESS_REVOKED" if is_revoked else "SERVER_SHUTDOWN")
    assert (last.utterances, last.cursor) == ((), first.cursor)


# ---------------------------------------------------------------------- live


async def test_every_interim_and_final_arrives(stage: Stage) -> None:
    """Each event has one utterance, revisions rise, and the cursor moves with commits."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    events = []
    for index, text in enumerate(["o", "on", "one"]):
        await agent.say(text, final=index == 2)
        events.append(await watcher.next())

    [states] = zip(*(event.utterances for event in events), strict=True)
    assert [state.text for state in states] == ["o", "on", "one"]
    assert [state.is_final for state in states] == [False, False, True]
    assert states[0].revision < states[1].revision < states[2].revision
    received = [cursors.decode_cursor(event.cursor, await stage.read(session)) for event in events]
    assert received == [1, 1, 2]


async def test_a_final_latches(stage: Stage) -> None:
    """A late or repeated interim is acknowledged but not published."""
    session, agent = await stage.talk()
    await agent.say("one two", "SG_1", revision=5)
    watcher = await stage.watch(session)
    await watcher.caught_up()

    await agent.say("one", "SG_1", revision=4, final=False)
    await agent.say("one two three", "SG_1", revision=9, final=False)
    await agent.say("next", "SG_2")

    assert [each.text for each in (await watcher.next()).utterances] == ["next"]
    assert await stage.texts(session) == ["one two", "next"]


async def test_a_merge_that_is_too_large_for_an_event_is_read(stage: Stage) -> None:
    """More changes than an event carries are read from the database, in batches."""
    session, _ = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()

    await stage.backend.saving.save_session(
        stage.viewer, session.id, [message(f"k{index}") for index in range(1100)]
    )

    batches = [await watcher.next() for _ in range(5)]
    assert [len(event.utterances) for event in batches] == [250, 250, 250, 250, 100]
    assert {event.is_caught_up for event in batches} == {True}


async def test_one_large_merge_makes_nobody_too_slow(stage: Stage) -> None:
    """A save larger than a reader's queue still reaches a waiting reader."""
    session, _ = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    long = "x" * 32_000
    shown = [message(f"k{index}", long) for index in range(150)]
    assert sum(len(each.text) for each in shown) > subscription.WEIGHT_BOUND

    await stage.backend.saving.save_session(stage.viewer, session.id, shown)

    while len(watcher.held) < len(shown):
        assert (await watcher.next()).end is None


async def test_a_hole_is_filled_before_anything_later(stage: Stage) -> None:
    """A lost event's rows are read from the database and delivered first."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    hub = stage.backend.hub
    publish, lost = hub.publish, []

    def lossy(topic: str, event: object) -> None:
        lost.append(event)

    hub.publish = lossy  # type: ignore[method-assign] # a hub that loses events
    await agent.say("lost", "SG_1")
    hub.publish = publish  # type: ignore[method-assign] # the hub works again
    await agent.say("next", "SG_2")

    event = await watcher.next()
    assert [each.text for each in event.utterances] == ["lost", "next"]
    assert any(isinstance(each, TranscriptCommitted) for each in lost)


async def test_what_is_published_twice_is_delivered_once(stage: Stage) -> None:
    """Repeated events are dropped, and so are interims older than what was delivered."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await agent.say("on", final=False)
    old = (await watcher.next()).utterances[0]
    await agent.say("one")
    await watcher.next()
    topic = transcripts_topic(session.id)
    [row] = await stage.rows(session)

    stage.backend.hub.publish(topic, InterimHeard(old))
    stage.backend.hub.publish(topic, TranscriptCommitted(session.id, 1, 2, ((2, row.state()),)))
    await agent.say("next", "SG_2")

    assert [each.text for each in (await watcher.next()).utterances] == ["next"]


async def test_a_reader_may_come_and_go(stage: Stage) -> None:
    """Cut at every event and resumed with its cursor, it ends with everything."""
    session, agent = await stage.talk()
    held: dict[str, int] = {}
    cursor = None
    for index in range(10):
        await agent.say(f"word {index}", f"SG_{index // 2}", final=index % 2 == 1)
        watcher = await stage.watch(session, cursor)
        await watcher.caught_up()
        cursor = watcher.cursor
        held |= {state.text: state.revision for state in watcher.held.values()}
        await watcher.close()

    finals = {row.text: row.revision for row in await stage.rows(session)}
    assert finals.items() <= held.items()
    assert stage.backend.hub.watched("transcripts:") == []


async def test_a_new_process_goes_on_where_the_old_one_was_killed(
    stage: Stage, clock: Clock
) -> None:
    """Unwritten interims lose their words, but revisions keep their order."""
    session, agent = await stage.talk()
    before = await stage.watch(session)
    await before.caught_up()
    await agent.say("on", "SG_1", final=False)
    await agent.say("on tw", "SG_1", final=False)
    await agent.say("on twee", "SG_1", final=False)
    while before.texts != ["on twee"]:
        await before.next()
    await before.close()

    rebuild(stage.backend, hub=LocalHub())
    assert await stage.backend.reaper.recover() == 1
    after = await stage.watch(session, before.cursor)
    after.held = before.held
    await after.caught_up()

    assert after.texts == await stage.texts(session) == ["on"]


# ---------------------------------------------------------------------- ends


async def test_an_ended_session_is_replayed_marked_and_ended(stage: Stage) -> None:
    """Replay, marker and end come in turn; resuming is not offered."""
    session, agent = await stage.talk()
    await agent.say("hello")
    await agent.bye()

    events = await (await stage.watch(session)).rest()

    assert [len(event.utterances) for event in events] == [1, 0, 0]
    assert [event.is_caught_up for event in events] == [False, True, True]
    assert [event.end for event in events] == [None, None, StreamEnd("SESSION_ENDED", False)]


async def test_a_stream_ends_with_its_session(stage: Stage) -> None:
    """While the session is ENDING the last words still come; then the stream ends."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await stage.backend.saving.save_session(stage.viewer, session.id, [])
    await agent.say("last words")
    await agent.bye()

    events = await watcher.rest()

    assert watcher.texts == ["last words"]
    assert events[-1].end == StreamEnd("SESSION_ENDED", False)


async def test_an_end_during_the_replay_is_noticed(stage: Stage) -> None:
    """The end is noticed even if its event comes during the replay."""
    session, agent = await stage.talk()
    await agent.say("hello")
    watcher = await stage.watch(session)
    await watcher.next()

    await agent.bye()

    assert [event.end for event in await watcher.rest()] == [
        None,
        StreamEnd("SESSION_ENDED", False),
    ]


async def test_a_deleted_session_ends_its_streams(stage: Stage) -> None:
    """Streams of the session end; the stream of all sessions names it and goes on."""
    session, agent = await stage.talk()
    await agent.say("hel", final=False)
    words = await stage.watch(session)
    await words.caught_up()
    one, every = await stage.watch_sessions(session), await stage.watch_sessions()
    await one.next()
    await every.next()

    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    assert (await words.rest())[-1].end == StreamEnd("SESSION_DELETED", False)
    updates = await one.rest()
    assert updates[-2].deleted_session_id == session.id
    assert updates[-1].end == StreamEnd("SESSION_DELETED", False)
    assert (await every.next()).deleted_session_id == session.id
    another = await stage.start()
    assert (await every.next()).session.id == another.id


async def test_a_session_that_is_deleted_before_the_first_event(stage: Stage) -> None:
    """The stream was already authorised; its only event is the end."""
    session = await stage.start()
    words, updates = await stage.watch(session), await stage.watch_sessions(session)
    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    assert (await words.rest())[-1].end == StreamEnd("SESSION_DELETED", False)
    assert [update.end for update in await updates.rest()] == [StreamEnd("SESSION_DELETED", False)]


@pytest.mark.parametrize("before_the_first_event", [True, False])
async def test_signing_out_ends_every_stream(stage: Stage, before_the_first_event: bool) -> None:
    """They end with ACCESS_REVOKED, even if a stream had not started to listen."""
    session, _ = await stage.talk()
    watched: list[Watcher[object]] = [
        await stage.watch(session),  # type: ignore[list-item] # a narrower Watcher
        await stage.watch_sessions(session),
        await stage.watch_sessions(),
    ]
    if not before_the_first_event:
        for watcher in watched:
            await watcher.next()

    await authentication.sign_out(stage.backend.transactions, stage.viewer)

    for watcher in watched:
        last: object = (await watcher.rest())[-1]
        assert last.end == StreamEnd("ACCESS_REVOKED", False)  # type: ignore[attr-defined] # both have it


async def test_a_login_that_another_process_revoked_ends_its_streams(stage: Stage) -> None:
    """The reaper checks for this, because another process's commit reaches no local hub."""
    from models.tables import Login

    session, _ = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await transact(lambda conn: Login.filter(id=stage.viewer.login_id).using_db(conn).delete())

    await stage.reaper.look()

    assert [event.end for event in await watcher.rest()] == [StreamEnd("ACCESS_REVOKED", False)]


async def test_access_that_expires_ends_its_streams(stage: Stage) -> None:
    """The streams end at that moment, without any event."""
    session, _ = await stage.talk()
    stage.viewer = replace(stage.viewer, expires_at=stage.clock() + timedelta(milliseconds=20))
    words, updates = await stage.watch(session), await stage.watch_sessions(session)

    assert (await words.rest())[-1].end == StreamEnd("ACCESS_REVOKED", False)
    assert (await updates.rest())[-1].end == StreamEnd("ACCESS_REVOKED", False)


async def test_expired_access_gets_nothing_that_waits(stage: Stage) -> None:
    """This holds even if events keep coming, so that the stream never waits."""
    session, agent = await stage.talk()
    stage.viewer = replace(stage.viewer, expires_at=stage.clock() + timedelta(hours=1))
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await agent.say("secret", "SG_1")
    await agent.say("secrets", "SG_2")

    stage.clock.pass_by(hours=1)

    [last] = await watcher.rest()
    assert (last.utterances, last.end) == ((), StreamEnd("ACCESS_REVOKED", False))


async def test_a_server_that_stops_ends_its_streams(stage: Stage) -> None:
    """They end with SERVER_SHUTDOWN, and may resume."""
    session, _ = await stage.talk()
    words, updates = await stage.watch(session), await stage.watch_sessions(session)
    await words.caught_up()
    await updates.next()

    stage.backend.hub.publish(SERVER_TOPIC, ServerStopping())

    assert [event.end for event in await words.rest()] == [StreamEnd("SERVER_SHUTDOWN", True)]
    assert [update.end for update in await updates.rest()] == [StreamEnd("SERVER_SHUTDOWN", True)]


async def test_a_reader_who_is_too_slow_is_told_and_misses_nothing(stage: Stage) -> None:
    """It gets READER_TOO_SLOW with a cursor that resumes without loss; the agent never waits."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    answers = []
    for index in range(subscription.BOUND + 1):
        answers.append(agent.report(f"word {index}", f"SG_{index}", final=True))
        # One commit for each, as in a real conversation.
        await answers[-1]

    [last] = await watcher.rest()

    assert last.end == StreamEnd("READER_TOO_SLOW", True)
    again = await stage.watch(session, last.cursor)
    await again.caught_up()
    assert again.texts == await stage.texts(session)


async def test_interims_of_one_utterance_make_nobody_too_slow(stage: Stage) -> None:
    """They replace one another, so a slow reader sees only the newest."""
    session, agent = await stage.talk()
    watcher = await stage.watch(session)
    await watcher.caught_up()
    await agent.say("first", final=False)
    await watcher.next()
    for index in range(3 * subscription.BOUND):
        agent.report(f"word {index}")

    while watcher.texts != [f"word {3 * subscription.BOUND - 1}"]:
        assert (await watcher.next()).end is None


# ---------------------------------------------------------------------- refusals


async def test_a_stream_is_refused_before_it_is_made(stage: Stage) -> None:
    """Callers without access and bad session ids are refused before the stream exists."""
    session = await stage.start()
    other = await stage.somebody_else()
    writing = replace(stage.viewer, scopes=frozenset({TokenScope.SESSIONS_WRITE}))
    backend = stage.backend

    watched = partial(updates.open_session_updates, backend.hub, backend.metrics, backend.clock)
    both: list[Callable[..., Awaitable[object]]] = [backend.transcripts.open_transcripts, watched]
    for opened in both:
        async with refused(Unauthenticated):
            await opened(None, session.id)
        async with refused(Forbidden):
            await opened(writing, session.id)
        async with refused(NotFound, ["sessionId"]):
            await opened(stage.viewer, UNKNOWN)
        async with refused(Forbidden, ["sessionId"]):
            await opened(other, session.id)
        async with refused(BadUserInput, ["sessionId"]):
            await opened(stage.viewer, "ses_")


async def test_a_cursor_that_is_not_of_this_transcript_is_refused(stage: Stage) -> None:
    """Cursors of other sessions, of the future, altered or malformed ones are refused."""
    session, agent = await stage.talk()
    another = await stage.start()
    await agent.say("hello")
    now = cursors.transcript_cursor(await stage.read(session))
    bad = [
        cursors.encode_cursor(another.id, 0),
        cursors.encode_cursor(session.id, 2),
        cursors.encode_cursor(session.id, -1),
        cursors.encode_cursor(session.id, 10**30),
        now + "=",
        now[:-1],
        "",
        "nonsense",
        "é",
        "\ud800",
        "A" * 100_000,
    ]

    for cursor in bad:
        async with refused(BadUserInput, ["after"]):
            await stage.watch(session, cursor)
