"""The transcript writer stores before it acknowledges, and stores shown interims soon."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_bridge.protocol import Ack, Nack
from hub.events import TranscriptCommitted, transcripts_topic
from models import database
from models.database import OperationalError
from models.tables import Session, Utterance
from resolvers.backend import Backend
from resolvers.sessions import manage
from resolvers.transcripts import cursors, edit, live, transactions
from resolvers.transcripts.edit import SessionEdit, preview_of
from resolvers.transcripts.transaction import Transaction
from tests.dump import dump
from tests.resolvers.people import Clock
from tests.resolvers.stage import WITHIN_S, Stage, message, staged, taken


@pytest.fixture
async def still(backend: Backend, clock: Clock) -> AsyncIterator[Stage]:
    """Run a stage whose transcript writer commits only when a test says so."""
    async with staged(backend, clock, is_running=False) as stage:
        yield stage


# ---------------------------------------------------------------------- acknowledgements


async def test_an_ack_of_a_final_means_that_it_is_stored(still: Stage) -> None:
    """The ack comes with the commit, when other readers of the file can see the row."""
    session, agent = await still.talk()
    answer = agent.report("hello", final=True)
    assert not answer.done()
    assert await still.texts(session) == []

    await still.backend.writer.commit_waiting()

    assert answer.result() == Ack("SG_1", 1)
    assert await still.texts(session) == ["hello"]


async def test_the_first_sight_is_stored_before_it_is_shown(still: Stage) -> None:
    """Its ack and event come with the commit; later interims wait for none."""
    session, agent = await still.talk()
    with still.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        first = agent.report("h")
        assert (first.done(), taken(subscription)) == (False, [])
        await still.backend.writer.commit_waiting()
        assert first.result() == Ack("SG_1", 1)
        assert len(taken(subscription)) == 1

        second = agent.report("he")

        assert second.result() == Ack("SG_1", 2)
        assert len(taken(subscription)) == 1
    assert await still.texts(session) == ["h"]


@pytest.mark.sqlite
async def test_what_is_published_as_committed_can_be_read(
    still: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program can read the row when the event is published."""
    _, agent = await still.talk()
    hub = still.backend.hub
    publish, found = hub.publish, []

    def noted(topic: str, event: object) -> None:
        if isinstance(event, TranscriptCommitted):
            [file] = (tmp_path / "data").glob("*.db")
            with closing(sqlite3.connect(file)) as other:
                found.append(other.execute("SELECT text FROM utterances").fetchall())
        publish(topic, event)

    monkeypatch.setattr(hub, "publish", noted)
    agent.report("hello", final=True)
    await still.backend.writer.commit_waiting()

    assert found == [[("hello",)]]


async def test_an_interim_is_not_shown_while_its_final_is_being_stored(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is acknowledged all the same, because the later final stands."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    is_stored, may_go_on = asyncio.Event(), asyncio.Event()
    write = Transaction.write

    async def held_up(transaction: Transaction) -> None:
        is_stored.set()
        await may_go_on.wait()
        await write(transaction)

    monkeypatch.setattr(Transaction, "write", held_up)
    with still.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        final = agent.report("hello", revision=3, final=True)
        storing = asyncio.create_task(still.backend.writer.commit_waiting())
        await is_stored.wait()

        late = agent.report("he", revision=2)

        shown = taken(subscription)
        may_go_on.set()
        assert await storing
        [committed] = taken(subscription)
    assert (late.result(), shown) == (Ack("SG_1", 2), [])
    assert isinstance(committed, TranscriptCommitted)
    assert final.result() == Ack("SG_1", 3)


async def test_an_interim_is_written_within_a_second(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit alone triggers the write, without anything else to commit."""
    monkeypatch.setattr(live, "WRITE_WITHIN_S", 0.02)
    session, agent = await stage.talk()
    await agent.say("h", final=False)
    with stage.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        await agent.say("he", final=False)

        async with asyncio.timeout(WITHIN_S):
            while not isinstance(await subscription.get(), TranscriptCommitted):
                pass

    assert await stage.texts(session) == ["he"]


async def test_a_transaction_of_a_session_writes_what_is_known_of_it(still: Stage) -> None:
    """A rename also stores shown and waiting utterances; the waiting ones are answered later."""
    session, agent = await still.talk()
    first = agent.report("h")
    await manage.rename_session(still.backend.transactions, still.viewer, session.id, "Named")
    assert await still.texts(session) == ["h"]
    assert not first.done()

    await still.backend.writer.commit_waiting()

    assert first.done()
    [row] = await still.rows(session)
    assert (row.revision, row.seq) == (1, 1)


async def test_what_waits_for_one_commit_is_merged_into_it(still: Stage) -> None:
    """The best state of each segment is stored, and sessions share the commit.

    Every report is answered except an interim overtaken by a newer one, whose answer settles both.
    """
    one, first = await still.talk()
    two, second = await still.talk()
    overtaken = first.report("a")
    answers = [
        first.report("a b", final=True),
        first.report("a b c"),
        second.report("x", final=True),
    ]
    with still.backend.hub.subscribe(
        transcripts_topic(one.id), transcripts_topic(two.id)
    ) as subscription:
        await still.backend.writer.commit_waiting()
        assert len(taken(subscription)) == 2

    assert all(isinstance(answer.result(), Ack) for answer in answers)
    assert not overtaken.done()
    assert (await still.texts(one), await still.texts(two)) == (["a b"], ["x"])


async def test_one_session_at_fault_does_not_hold_up_the_others(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a nack that is not terminal, and its final is stored when sent again."""
    good, speaker = await still.talk()
    bad, victim = await still.talk()
    number = SessionEdit.number

    async def broken(self: SessionEdit, revision_of: edit.RevisionOf) -> list[Utterance]:
        if self.session.id == bad.id:
            raise OperationalError("the disk is full")
        return await number(self, revision_of)

    with monkeypatch.context() as patch:
        patch.setattr(SessionEdit, "number", broken)
        refused = victim.report("lost?", revision=1, final=True)
        stored = speaker.report("kept", final=True)
        assert not await still.backend.writer.commit_waiting()

    assert isinstance(stored.result(), Ack)
    answer = refused.result()
    assert isinstance(answer, Nack)
    assert (answer.code, answer.terminal) == ("NOT_STORED", False)
    assert await still.texts(bad) == []
    again = victim.report("lost?", revision=1, final=True)
    assert await still.backend.writer.commit_waiting()
    assert isinstance(again.result(), Ack)
    assert (await still.texts(good), await still.texts(bad)) == (["kept"], ["lost?"])


async def test_a_commit_that_fails_shows_nothing(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no event, ack or row; the next commit writes the interim shown before."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    agent.report("he")
    before = await dump()

    async def broken(_: Transaction) -> None:
        raise OperationalError("the disk is full")

    with (
        monkeypatch.context() as patch,
        still.backend.hub.subscribe(transcripts_topic(session.id)) as subscription,
    ):
        patch.setattr(Transaction, "write", broken)
        final = agent.report("hello", "SG_2", final=True)
        assert not await still.backend.writer.commit_waiting()
        assert taken(subscription) == []
        assert isinstance(final.result(), Nack)
    assert await dump() == before

    await still.backend.writer.drain()
    assert await still.texts(session) == ["he"]


async def test_a_reply_that_fails_stops_nobody_else(stage: Stage) -> None:
    """A fault in one connection must not stop the writer."""
    session, agent = await stage.talk()

    def broken(_: object) -> None:
        raise RuntimeError("the connection is in a bad way")

    heard = agent.heard("hello", final=True)
    stage.events.utterance(agent.binding, agent.connection, heard, broken)
    for turn in range(3):
        assert isinstance(await agent.say(f"word {turn}", f"SG_{turn + 2}"), Ack)
    assert "hello" in await stage.texts(session)


# ---------------------------------------------------------------------- revisions


async def test_a_final_is_above_what_may_have_been_shown(still: Stage) -> None:
    """It gets ceiling + 1; interims before it stay at or under the ceiling."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    [row] = await still.rows(session)
    assert (row.revision, row.ceiling) == (1, 1 + edit.RESERVE)
    watcher = await still.watch(session)
    await watcher.caught_up()
    for index in range(3):
        agent.report(f"he{index}")
    assert (await watcher.next()).utterances[0].revision == 4

    agent.report("hello", final=True)
    await still.backend.writer.commit_waiting()

    [row] = await still.rows(session)
    assert (row.revision, row.ceiling) == (2 + edit.RESERVE, 2 + edit.RESERVE)


async def test_what_was_shown_is_written_under_its_revision(still: Stage) -> None:
    """Readers hold it already, so they get nothing; their next cursor is behind it."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    watcher = await still.watch(session)
    await watcher.caught_up()
    agent.report("he")
    shown = (await watcher.next()).utterances[0]

    await still.backend.writer.drain()

    [row] = await still.rows(session)
    assert (row.text, row.revision, row.seq) == ("he", shown.revision, 2)
    assert row.ceiling == shown.revision + edit.RESERVE
    late = await still.watch(session)
    await late.caught_up()
    assert [state.revision for state in late.held.values()] == [shown.revision]
    agent.report("hel")
    event = await watcher.next()
    assert event.utterances[0].text == "hel"
    assert cursors.decode_cursor(event.cursor, await still.read(session)) == 2


async def test_what_was_shown_is_written_above_what_another_process_may_have_shown(
    still: Stage,
) -> None:
    """Once another process has written the row, the revisions above are reserved for that one."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    agent.report("he")
    theirs = 2 + edit.RESERVE
    await _written_elsewhere(session)

    await still.backend.writer.drain()

    [row] = await still.rows(session)
    assert (row.text, row.revision) == ("he", theirs + edit.RESERVE + 1)


async def test_past_the_ceiling_an_interim_waits_for_a_commit(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown above the ceiling; of the waiting interims only the newest is answered."""
    monkeypatch.setattr(edit, "RESERVE", 2)
    session, agent = await still.talk()
    agent.report("0")
    await still.backend.writer.commit_waiting()
    answers = [agent.report(str(index)) for index in range(1, 5)]
    assert [answer.done() for answer in answers] == [True, True, False, False]

    await still.backend.writer.commit_waiting()

    assert [answer.done() for answer in answers] == [True, True, False, True]
    [row] = await still.rows(session)
    assert (row.text, row.revision, row.ceiling) == ("4", 4, 6)


async def test_an_outdated_interim_does_not_come_back_after_a_commit(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later interims are compared with what was committed, so older ones stay outdated."""
    monkeypatch.setattr(edit, "RESERVE", 1)
    session, agent = await still.talk()
    for revision in (1, 2, 9):
        agent.report(f"revision {revision}", revision=revision)
        await still.backend.writer.commit_waiting()
    assert await still.texts(session) == ["revision 9"]
    watcher = await still.watch(session)
    await watcher.caught_up()

    agent.report("revision 5", revision=5)
    agent.report("revision 9", revision=9)
    await still.backend.writer.drain()
    agent.report("done", "SG_2", final=True)
    await still.backend.writer.commit_waiting()

    while "done" not in watcher.texts:
        await watcher.next()
    assert watcher.texts == await still.texts(session) == ["revision 9", "done"]


async def test_nothing_is_written_again_and_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated interim costs no commit, and an idle writer does not commit."""
    monkeypatch.setattr(edit, "RESERVE", 1)
    monkeypatch.setattr(live, "WRITE_WITHIN_S", 0.0)
    _, agent = await stage.talk()
    for revision in (1, 2, 3, 3, 3):
        await agent.say(f"revision {revision}", revision=revision, final=False)
    await stage.backend.writer.drain()
    commits: list[object] = []
    transact = database.transact

    async def counted(work: Any, **options: Any) -> Any:
        commits.append(work)
        return await transact(work, **options)

    monkeypatch.setattr(transactions, "transact", counted)
    for index in range(3):
        assert isinstance(await agent.say("x", f"SG_{index + 2}"), Ack)

    assert 1 <= len(commits) <= 3


async def test_an_interim_that_comes_during_the_last_commit_is_stored(
    still: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was shown while the session was ending, so the database must have it too."""
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    await still.backend.saving.save_session(still.viewer, session.id, [])
    watcher = await still.watch(session)
    await watcher.caught_up()
    write, heard = Transaction.write, ["hello"]

    async def meanwhile(transaction: Transaction) -> None:
        await write(transaction)
        while heard:
            agent.report(heard.pop())

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "write", meanwhile)
        await still.pass_by(10)
    await watcher.rest()
    assert watcher.texts == ["hello"]

    await still.backend.writer.drain()

    assert await still.texts(session) == ["hello"]


@pytest.mark.parametrize("is_written_elsewhere", [False, True])
async def test_an_interim_that_comes_during_a_commit_stays_above_it(
    still: Stage, monkeypatch: pytest.MonkeyPatch, is_written_elsewhere: bool
) -> None:
    """Clients that took the committed state must still get the newer words.

    They are shown again if the commit's revision is above theirs.
    """
    session, agent = await still.talk()
    agent.report("h")
    await still.backend.writer.commit_waiting()
    watcher = await still.watch(session)
    await watcher.caught_up()
    write = Transaction.write

    async def meanwhile(transaction: Transaction) -> None:
        await write(transaction)
        agent.report("hello")

    agent.report("he")
    if is_written_elsewhere:
        await _written_elsewhere(session)
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "write", meanwhile)
        await manage.rename_session(still.backend.transactions, still.viewer, session.id, "Named")

    late = await still.watch(session)
    await late.caught_up()
    assert late.texts == ["hello"]
    while watcher.texts != ["hello"]:
        await watcher.next()
    await still.backend.writer.drain()
    assert await still.texts(session) == ["hello"]


async def _written_elsewhere(session: Session) -> None:
    """Reserve revisions of this session's utterances for another process, as its commit does."""
    for row in await Utterance.filter(session_id=session.id):
        row.revision = row.ceiling + 1
        row.ceiling = row.revision + edit.RESERVE
        await row.save()


# ---------------------------------------------------------------------- numbers


async def test_seqs_are_dense_and_shown_in_order(stage: Stage) -> None:
    """With concurrent writers, each event begins where the previous one ended."""
    session, agent = await stage.talk()
    with stage.backend.hub.subscribe(transcripts_topic(session.id)) as subscription:
        await asyncio.gather(
            *(agent.say(f"said {index}", f"SG_{index}") for index in range(10)),
            *(stage.type(session, f"typed {index}") for index in range(10)),
            stage.backend.saving.save_session(
                stage.viewer, session.id, [message("a"), message("b")]
            ),
            return_exceptions=True,
        )
        events = [each for each in taken(subscription) if isinstance(each, TranscriptCommitted)]

    last = 0
    for event in events:
        assert event.first_seq == last + 1
        last = event.last_seq
    assert (await stage.read(session)).last_seq == last
    seqs = [row.seq for row in await stage.rows(session)]
    assert len(set(seqs)) == len(seqs)


async def test_the_preview_is_the_beginning_of_the_first_utterance(stage: Stage) -> None:
    """It is one line, cut to length, and follows changes of the first utterance."""
    session, agent = await stage.talk()
    await agent.say("second", "SG_2", final=False)
    assert (await stage.read(session)).preview == "second"
    await agent.say("second\n and " + "long " * 60, "SG_2")
    preview = (await stage.read(session)).preview
    assert preview is not None
    assert preview.startswith("second and long long")
    assert (len(preview), preview[-1]) == (160, "…")
    await agent.say("third", "SG_3")

    await stage.backend.saving.save_session(
        stage.viewer, session.id, [message("first"), message("SG_2", "second")]
    )

    row = await stage.read(session)
    assert (row.preview, row.utterance_count) == ("first", 3)


def test_a_preview_that_just_fits_is_not_cut() -> None:
    """The limit is 160 characters; white space is collapsed."""
    assert preview_of("x" * 160) == "x" * 160
    assert preview_of("x" * 161) == "x" * 159 + "…"
    assert preview_of("x" * 150 + " " + "y" * 20) == "x" * 150 + " " + "y" * 8 + "…"
    assert preview_of(" \n a \t b ") == "a b"


# ---------------------------------------------------------------------- ends


async def test_drained_means_stored(stage: Stage) -> None:
    """Whatever a stopping server was told before is stored when drain() returns."""
    session, agent = await stage.talk()
    await agent.say("h", "SG_1", final=False)
    await agent.say("he", "SG_1", final=False)
    final = agent.report("hello", "SG_2", final=True)

    await stage.backend.writer.drain()

    assert isinstance(await final, Ack)
    assert await stage.texts(session) == ["he", "hello"]


async def test_a_session_that_is_over_is_not_remembered(stage: Stage) -> None:
    """Memory does not grow with ended conversations, even with late words."""
    session, agent = await stage.talk()
    await agent.say("h", final=False)
    assert stage.backend.live.remembers(session.id)
    await agent.bye()
    assert not stage.backend.live.remembers(session.id)

    await agent.say("late", final=False)
    await agent.say("later", "SG_2")
    await stage.backend.writer.drain()

    assert not stage.backend.live.remembers(session.id)


async def test_a_deleted_session_is_not_remembered(stage: Stage) -> None:
    """Whatever waits for it is dropped too."""
    session, agent = await stage.talk()
    await agent.say("h", final=False)
    waiting = agent.report("hello", final=True)

    await manage.delete_session(stage.backend.transactions, stage.viewer, session.id)

    answer = await waiting
    assert isinstance(answer, Ack | Nack)
    assert await stage.rows(session) == []
    assert not stage.backend.live.remembers(session.id)


async def test_a_cancelled_caller_does_not_cancel_the_transaction(stage: Stage) -> None:
    """What is committed is also published, although the caller is gone."""
    watcher = await stage.watch_sessions()
    await watcher.next()
    started = asyncio.ensure_future(stage.backend.chats.start_new_chat(stage.viewer))
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: loop.call_soon(started.cancel))
    with pytest.raises(asyncio.CancelledError):
        await started

    assert (await watcher.next()).session.shown_title == "New Conversation"
