"""In any order of events, the database and all subscribers end up the same.

A state machine generates histories of two conversations: agents repeat and reorder what they say,
users type and save, subscribers come, go and read slowly, the process is killed and restarted.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent_bridge.media.local import LocalMedia
from agent_bridge.protocol import Ack
from agent_bridge.server.tokens import Tokens
from agent_bridge.server.workers import Workers
from hub.events import TranscriptCommitted, UtteranceState
from hub.local import LocalHub
from models import database
from models.database import Connection, NotStored
from models.tables import Role, Session, Utterance, UtteranceSource
from models.titles import title_of
from resolvers.accounts.rate_limits import RateLimits
from resolvers.backend import Backend
from resolvers.config import Config
from resolvers.refusals import Conflict
from resolvers.transcripts import edit, live, streams, transactions
from resolvers.transcripts.cursors import decode_cursor
from resolvers.transcripts.edit import preview_of
from resolvers.transcripts.merge import UtteranceChange, change_of, prevails
from tests.resolvers.people import Clock, NoAgents
from tests.resolvers.stage import Stage, Talker, message, rebuild, staged
from tests.rows import START

T = TypeVar("T")
WITHIN_S = 20.0

FAST = 1_000_000
"""The number of events that an unthrottled subscriber may read."""


@cache
def empty_database() -> Path:
    """Create the tables once; every history starts with a copy of the file."""
    folder = Path(tempfile.mkdtemp(prefix="voxql-tests-"))
    asyncio.run(database.migrate(database.database_url(folder)))
    return folder


@pytest.fixture(autouse=True, scope="module")
def tidy() -> Any:
    yield
    shutil.rmtree(empty_database(), ignore_errors=True)
    empty_database.cache_clear()


class OrderlyHub(LocalHub):
    """A hub that checks that each commit begins where the previous one ended."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, int] = {}

    def publish(self, topic: str, event: object) -> None:
        if isinstance(event, TranscriptCommitted):
            last = self.last.get(topic)
            assert last is None or event.first_seq == last + 1, "a hole between two commits"
            self.last[topic] = event.last_seq
        super().publish(topic, event)


class Subscriber:
    """Keeps the highest revisions, reads as much as it is allowed to, resumes with its cursor."""

    def __init__(self, stage: Stage, session: Session) -> None:
        self.stage = stage
        self.session = session
        self.held: dict[str, UtteranceState] = {}
        self.cursor: str | None = None
        self.task: asyncio.Task[None] | None = None
        self.end: str | None = None
        self.permits = asyncio.Semaphore(0)
        self.took = asyncio.Event()

    async def come(self, stage: Stage, permits: int) -> None:
        self.stage = stage
        self.end = None
        self.permits = asyncio.Semaphore(permits)
        stream = await stage.backend.transcripts.open_transcripts(
            stage.viewer, self.session.id, self.cursor
        )
        self.task = asyncio.create_task(self._read(stream.events()))

    async def _read(self, stream: Any) -> None:
        final: set[str] = set()
        try:
            while True:
                await self.permits.acquire()
                try:
                    event = await anext(stream)
                except StopAsyncIteration:
                    return
                for state in event.utterances:
                    assert state.is_final or state.id not in final, "an interim after its final"
                    if state.is_final:
                        final.add(state.id)
                    held = self.held.get(state.id)
                    if held is None or state.revision > held.revision:
                        self.held[state.id] = state
                self.cursor = event.cursor
                self.end = event.end.reason if event.end else None
                self.took.set()
        finally:
            await stream.aclose()
            self.took.set()

    @property
    def is_here(self) -> bool:
        return self.task is not None and not self.task.done()

    async def go(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.task = None

    async def reach(self, rows: Sequence[Utterance]) -> None:
        """Read until all these rows have been delivered or the stream ends."""
        for _ in range(1_000):
            self.permits.release()
        async with asyncio.timeout(WITHIN_S):
            while self.is_here and not self.has(rows):
                self.took.clear()
                await self.took.wait()
        if self.task is not None and self.task.done():
            self.task.result()

    def has(self, rows: Sequence[Utterance]) -> bool:
        held = {id_: state.revision for id_, state in self.held.items()}
        return self.cursor is not None and all(held.get(r.id, 0) >= r.revision for r in rows)

    def seq(self, session: Session) -> int:
        return -1 if self.cursor is None else decode_cursor(self.cursor, session)


@dataclass
class Conversation:
    """What a session should hold, by the rules alone."""

    session: Session
    agent: Talker
    claims: dict[str, UtteranceChange] = field(default_factory=dict)
    said: dict[str, dict[int, bool]] = field(default_factory=lambda: defaultdict(dict))
    """By segment and revision: whether it was a final. One revision always has the same text."""
    acked: list[tuple[str, int]] = field(default_factory=list)
    sort_keys: dict[str, str] = field(default_factory=dict)
    finals: set[str] = field(default_factory=set)

    def take(self, claim: UtteranceChange) -> None:
        held = self.claims.get(claim.key)
        if held is None or prevails(claim, held.source, held.is_final, held.agent_revision):
            self.claims[claim.key] = claim


def spoken(segment: str, revision: int, *, final: bool, typed: bool = False) -> str:
    return f"{segment} {revision}{' final' if final else ''}{' typed' if typed else ''}"


async def on_a_full_disk(work: Any, *, asked_at: float) -> Any:
    """Run the transaction and fail at its end, like a full disk."""

    async def doomed(conn: Connection) -> None:
        await work(conn)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    return await database.transact(doomed, asked_at=asked_at)


which = st.sampled_from([0, 0, 0, 1])
turns = st.sampled_from([0, 0, 0, 1])
"""How many turns of the conversation ago; recent utterances change most."""
revisions = st.integers(1, 16)


class Histories(RuleBasedStateMachine):
    """Each rule is an event that may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = [
            mock.patch.object(edit, "RESERVE", 1),
            mock.patch.object(edit, "CARRIED", 2),
            mock.patch.object(live, "SETTLED", 2),
            mock.patch.object(streams, "PAGE", 3),
        ]
        for patch in self.patches:
            patch.start()
        self.folder = Path(tempfile.mkdtemp(prefix="voxql-tests-"))
        self.runner = asyncio.Runner()
        self.open = AsyncExitStack()
        self.subscribers: list[Subscriber] = []
        self.talks: list[Conversation] = []
        self.lines = 0
        self.turn = 1

    def segment(self, ago: int) -> str:
        return f"SG_{max(0, self.turn - ago)}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(self._in_time(work))

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(WITHIN_S):
            return await work

    # ------------------------------------------------------------------ beginning and end

    @initialize()
    def begin(self) -> None:
        for file in empty_database().iterdir():
            shutil.copy(file, self.folder)
        self.run(self._begin())

    async def _begin(self) -> None:
        # There are no power cuts here, so syncing would only take time.
        url = database.database_url(self.folder) + "?synchronous=OFF"
        await self.open.enter_async_context(database.opened(url))
        clock = Clock(START + timedelta(days=1))
        hub = OrderlyHub()
        tokens = Tokens("only for these tests".ljust(32, "."))
        backend = Backend(
            config=Config(),
            hub=hub,
            agents=NoAgents(),
            media=LocalMedia(Workers(hub), tokens, "http://127.0.0.1:8000"),
            tokens=tokens,
            limiter=RateLimits(clock),
            clock=clock,
            pace=0,
        )
        self.stage = await self._staged(backend, clock)
        for _ in range(2):
            session, agent = await self.stage.talk()
            self.talks.append(Conversation(session, agent))
            self.subscribers.append(Subscriber(self.stage, session))
            await self.subscribers[-1].come(self.stage, FAST)

    async def _staged(self, backend: Backend, clock: Clock) -> Stage:
        return await self.open.enter_async_context(staged(backend, clock, is_running=False))

    def teardown(self) -> None:
        try:
            if self.talks:
                self.run(self._finish())
        finally:
            self.run(self._close())
            self.runner.close()
            for patch in self.patches:
                patch.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _close(self) -> None:
        for subscriber in self.subscribers:
            await subscriber.go()
        await self.open.aclose()

    async def _finish(self) -> None:
        await self._quiet()
        for talk in self.talks:
            await self._check_rows(talk)
        for subscriber in self.subscribers:
            rows = await self.stage.rows(subscriber.session)
            await subscriber.reach(rows)
            if subscriber.end is None and subscriber.is_here:
                await self._check_held(subscriber)
            # A subscriber that resumes from any cursor ends with the same state.
            await subscriber.go()
            await subscriber.come(self.stage, 0)
            await subscriber.reach(rows)
            await self._check_held(subscriber)

    async def _quiet(self) -> None:
        """Store everything that was published."""
        for _ in range(3):
            await self.stage.backend.writer.drain()

    async def _check_rows(self, talk: Conversation) -> None:
        rows = {row.key: row for row in await self.stage.rows(talk.session)}
        assert set(rows) == set(talk.claims)
        for key, claim in talk.claims.items():
            row = rows[key]
            assert (row.source, row.is_final, row.text, row.agent_revision) == (
                claim.source,
                claim.is_final,
                claim.text,
                claim.agent_revision,
            )

    async def _check_held(self, subscriber: Subscriber) -> None:
        rows = await self.stage.rows(subscriber.session)
        assert subscriber.held == {row.id: row.state() for row in rows}

    # ------------------------------------------------------------------ what may happen

    def _report(self, talk: Conversation, segment: str, revision: int, *, final: bool) -> None:
        final = talk.said[segment].setdefault(revision, final)
        text = spoken(segment, revision, final=final)
        answer = talk.agent.report(text, segment, revision=revision, final=final)
        claim = UtteranceChange(
            key=segment,
            role=message("x").role,
            source=UtteranceSource.SPEECH,
            text=text,
            is_final=final,
            started_at=START,
            agent_revision=revision,
        )
        talk.take(claim)

        def note(done: Any) -> None:
            if final and isinstance(done.result(), Ack):
                talk.acked.append((segment, revision))

        answer.add_done_callback(note)

    @rule(chance=st.integers(0, 2))
    def next_turn(self, chance: int) -> None:
        """The next segment begins; earlier ones may still change."""
        self.turn += chance == 2

    @rule(number=which, ago=turns, revision=revisions)
    def say(self, number: int, ago: int, revision: int) -> None:
        """Report a final, perhaps a repeated or an older one."""

        async def work() -> None:
            self._report(self.talks[number], self.segment(ago), revision, final=True)

        self.run(work())

    @rule(
        number=which,
        ago=turns,
        said=st.lists(st.none() | st.tuples(revisions, st.integers(1, 6)), min_size=3, max_size=9),
    )
    def babble(self, number: int, ago: int, said: list[tuple[int, int] | None]) -> None:
        """Report runs of interims, repeated and out of order, with a commit now and then."""

        async def work() -> None:
            for run in said:
                if run is None:
                    await self.stage.backend.writer.commit_waiting()
                    continue
                first, count = run
                for revision in range(first, first + count):
                    self._report(self.talks[number], self.segment(ago), revision, final=False)

        self.run(work())

    @rule()
    def commit(self) -> None:
        """Store what waits."""
        self.run(self.stage.backend.writer.commit_waiting())

    @rule()
    def write(self) -> None:
        """Store published interims too."""
        self.run(self.stage.backend.writer.drain())

    @rule(
        number=which,
        ago=turns,
        first=revisions,
        waits=st.lists(st.integers(0, 15), min_size=1, max_size=5),
        final=st.sampled_from([0, 0, 1]),
    )
    def say_during_a_commit(
        self, number: int, ago: int, first: int, waits: list[int], final: int
    ) -> None:
        """Report utterances between any two steps of a commit."""

        async def work() -> None:
            committing = asyncio.create_task(self.stage.backend.writer.drain())
            for index, wait in enumerate(waits):
                for _ in range(wait):
                    # Yield to reach a later step of the commit.
                    await asyncio.sleep(0)
                is_last = index == len(waits) - 1
                self._report(
                    self.talks[number],
                    self.segment(ago),
                    first + index,
                    final=bool(final) and is_last,
                )
            await committing

        self.run(work())

    @rule(number=which, is_free=st.booleans())
    def type(self, number: int, is_free: bool) -> None:
        """Type a line: stored under a free key while the session is ACTIVE, else a conflict."""
        talk = self.talks[number]
        self.lines += 1
        key = f"typed {self.lines}" if is_free else self.segment(0)
        text = f"line {self.lines}"

        async def work() -> None:
            try:
                await self.stage.type(talk.session, text, key=key)
            except Conflict:
                assert key in talk.claims or (await self.stage.read(talk.session)).ended_at
            else:
                assert key not in talk.claims
                talk.take(
                    UtteranceChange(
                        key=key,
                        role=message("x").role,
                        source=UtteranceSource.TYPED,
                        text=text,
                        is_final=True,
                        started_at=START,
                    )
                )

        self.run(work())

    @rule(
        number=which,
        shown=st.lists(
            st.tuples(st.integers(-1, 4), st.booleans()), unique_by=lambda m: m[0], max_size=4
        ),
        waits=st.lists(st.integers(0, 15), max_size=3),
    )
    def save(self, number: int, shown: list[tuple[int, bool]], waits: list[int]) -> None:
        """Save any of the keys in any order, while the agent still speaks."""
        talk = self.talks[number]
        self.lines += 1
        # Use one of the newest keys that the server knows, or else one of the client's own.
        known = [*reversed(talk.claims)][:4]
        keys = {known[place] if 0 <= place < len(known) else f"c{place}": f for place, f in shown}
        messages = [
            message(key, f"shown {self.lines} {key}", is_final=final) for key, final in keys.items()
        ]

        async def work() -> None:
            expected = [each.key for each in messages if each.key not in talk.claims]
            for each in messages:
                talk.take(
                    UtteranceChange(
                        key=each.key,
                        role=each.role,
                        source=UtteranceSource.CLIENT_REPORTED,
                        text=each.text,
                        is_final=each.is_final,
                        started_at=START,
                    )
                )
            losers = [
                index
                for index, each in enumerate(messages)
                if talk.claims[each.key].text != each.text
            ]
            saving = asyncio.create_task(
                self.stage.backend.saving.save_session(self.stage.viewer, talk.session.id, messages)
            )
            for index, wait in enumerate(waits):
                for _ in range(wait):
                    await asyncio.sleep(0)
                self._report(talk, "SG_late", 100 * self.lines + index, final=False)
            saved = await saving
            assert [conflict.index for conflict in saved.conflicts] == losers
            assert saved.created_count == len(expected)

        self.run(work())

    @rule(number=which, chance=st.integers(0, 9))
    def leave(self, number: int, chance: int) -> None:
        """The agent leaves, rarely for good, then comes back on another connection."""

        async def work() -> None:
            talk = self.talks[number]
            await self.stage.backend.writer.commit_waiting()
            await talk.agent.bye("LEFT" if chance == 9 else "DRAINING")
            talk.agent.connection += "+"
            await talk.agent.come()

        self.run(work())

    @precondition(lambda self: len(self.subscribers) < 5)
    @rule(number=which, permits=st.integers(0, 5))
    def subscribe(self, number: int, permits: int) -> None:
        """A new subscriber begins."""
        subscriber = Subscriber(self.stage, self.talks[number].session)
        self.subscribers.append(subscriber)
        self.run(subscriber.come(self.stage, permits))

    @precondition(lambda self: self.subscribers)
    @rule(data=st.data(), events=st.integers(1, 30), steps=st.integers(0, 30))
    def read(self, data: st.DataObject, events: int, steps: int) -> None:
        """A subscriber reads on for a while."""
        subscriber = data.draw(st.sampled_from(self.subscribers))

        async def work() -> None:
            for _ in range(events):
                subscriber.permits.release()
            for _ in range(steps):
                await asyncio.sleep(0)

        self.run(work())

    @precondition(lambda self: self.subscribers)
    @rule(data=st.data(), permits=st.integers(0, 5))
    def come_back(self, data: st.DataObject, permits: int) -> None:
        """A subscriber is cut off at any point and resumes with its newest cursor."""
        subscriber = data.draw(st.sampled_from(self.subscribers))

        async def work() -> None:
            await subscriber.go()
            await subscriber.come(self.stage, permits)

        self.run(work())

    @rule(is_recovered=st.booleans(), is_writing=st.booleans(), is_resent=st.booleans())
    def crash(self, is_recovered: bool, is_writing: bool, is_resent: bool) -> None:
        """The process is killed or replaced: memory is lost; agents may resend."""
        self.run(self._crash(is_recovered, is_writing, is_resent))

    @rule(number=which, revision=revisions, is_recovered=st.booleans())
    def crash_in_mid_sentence(self, number: int, revision: int, is_recovered: bool) -> None:
        """The interim shown last is lost, and its segment is never mentioned again."""

        async def work() -> None:
            talk = self.talks[number]
            self._report(talk, self.segment(0), revision, final=False)
            await self.stage.backend.writer.commit_waiting()
            self._report(talk, self.segment(0), revision + 1, final=False)
            await self.stage.read(talk.session)
            self.turn += 1
            await self._crash(is_recovered, is_writing=False, is_resent=False)

        self.run(work())

    @rule(number=which, ago=turns, revision=revisions, final=st.booleans())
    def fill_the_disk(self, number: int, ago: int, revision: int, final: bool) -> None:
        """Nothing is stored or acknowledged for a while; then agents resend."""
        talk = self.talks[number]
        self.lines += 1
        key, given = f"never {self.lines}", [message(f"never {self.lines}", "of this")]
        stage = self.stage

        async def work() -> None:
            with mock.patch.object(transactions, "transact", on_a_full_disk):
                self._report(talk, self.segment(ago), revision, final=final)
                acked = [list(each.acked) for each in self.talks]
                await stage.backend.writer.commit_waiting()
                with pytest.raises((NotStored, Conflict)):  # the session may have ended
                    await stage.type(talk.session, "of this", key=key)
                with pytest.raises(NotStored):
                    await stage.backend.saving.save_session(stage.viewer, talk.session.id, given)
                # Every answer was a nack.
                assert [each.acked for each in self.talks] == acked
            for each in self.talks:
                self._resend(each)

        self.run(work())

    async def _crash(self, is_recovered: bool, is_writing: bool, is_resent: bool) -> None:
        backend = self.stage.backend
        for subscriber in self.subscribers:
            await subscriber.go()
        if is_writing:
            # A commit in progress may reach the disk although nobody was told.
            backend.transactions._hub = LocalHub()
            await backend.writer.commit_waiting()
        await database.settled()
        rebuild(backend, hub=OrderlyHub())
        self.stage.__post_init__()
        if is_recovered:
            await backend.reaper.recover()
        for talk in self.talks:
            await self._return(talk, self.stage, is_resent=is_resent)
        await backend.writer.commit_waiting()
        for subscriber in self.subscribers:
            await subscriber.come(self.stage, FAST)

    async def _return(self, talk: Conversation, stage: Stage, *, is_resent: bool) -> None:
        """Let an agent come back after a crash, with or without what was not acknowledged."""
        talk.agent = stage.talker(talk.session, connection=talk.agent.connection + "'")
        await talk.agent.come()
        if is_resent:
            self._resend(talk)
        else:
            # Anything unacknowledged may be lost with the agent.
            rows = await stage.rows(talk.session)
            talk.claims = {row.key: change_of(row) for row in rows}

    def _resend(self, talk: Conversation) -> None:
        """Resend every final and the newest interim, as the bridge's client does."""
        for segment, said in talk.said.items():
            finals = [revision for revision, final in said.items() if final]
            interims = sorted(revision for revision, final in said.items() if not final)
            for revision in [*finals, *interims[-1:]]:
                self._report(talk, segment, revision, final=said[revision])

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def holds(self) -> None:
        """Counters and preview match the rows; places, finals and acknowledged texts stay."""
        if self.talks:
            self.run(self._check())

    async def _check(self) -> None:
        for talk in self.talks:
            rows = await self.stage.rows(talk.session)
            session = await self.stage.read(talk.session)
            assert session.utterance_count == len(rows)
            assert session.preview == (preview_of(rows[0].text) if rows else None)
            settled = [row.text for row in rows if row.role is Role.USER and row.is_final]
            assert session.opening == next(filter(None, map(title_of, settled)), None)
            seqs = [row.seq for row in rows]
            assert len(set(seqs)) == len(seqs)
            assert max(seqs, default=0) == session.last_seq
            by_key = {row.key: row for row in rows}
            for row in rows:
                assert talk.sort_keys.setdefault(row.id, row.sort_key) == row.sort_key
                assert row.is_final or row.id not in talk.finals
                assert row.revision <= row.ceiling
                if row.is_final:
                    talk.finals.add(row.id)
            for segment, revision in talk.acked:
                row = by_key[segment]
                assert row.is_final
                assert row.source is UtteranceSource.SPEECH
                assert row.agent_revision is not None
                assert row.agent_revision >= revision
            for subscriber in self.subscribers:
                if subscriber.session.id == talk.session.id:
                    reached = subscriber.seq(session)
                    for row in rows:
                        if row.seq <= reached:
                            assert subscriber.held[row.id].revision >= row.revision


@settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
class AnyHistory(Histories):
    """Bounded, so that `make test` stays quick."""


TestAnyOrder = pytest.mark.timeout(300)(AnyHistory.TestCase)
