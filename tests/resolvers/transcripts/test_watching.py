"""How a stream delivers to its reader: at once, later, or no more."""

import asyncio
from dataclasses import dataclass, field

import pytest

from hub.events import SERVER_TOPIC, AccessRevoked, ServerStopping, access_topic
from hub.subscription import ReaderTooSlow
from models.tables import Session
from resolvers.transcripts.streams import TranscriptEvent, TranscriptStream
from tests.resolvers.stage import WITHIN_S, Stage


@dataclass
class Slow:
    """A reader that takes events only while it is ready."""

    is_ready: bool = True
    events: list[TranscriptEvent] = field(default_factory=list)
    errors: list[Exception | None] = field(default_factory=list)
    fault: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gives_up: bool = False

    async def until_ready(self) -> None:
        while not self.is_ready:
            self.changed.clear()
            await self.changed.wait()
            if self.gives_up:
                raise ReaderTooSlow

    def take(self, event: TranscriptEvent, *, is_last: bool) -> None:
        if self.fault is not None:
            raise self.fault
        assert self.is_ready or is_last
        self.events.append(event)
        self.changed.set()

    def drop(self) -> None:
        """Has nothing under way."""

    def end(self, error: Exception | None) -> None:
        self.errors.append(error)
        self.changed.set()

    def turn(self, *, ready: bool) -> None:
        self.is_ready = ready
        self.changed.set()

    async def until_over(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not self.errors:
                self.changed.clear()
                await self.changed.wait()

    async def until_caught_up(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not (self.events and self.events[-1].is_caught_up):
                self.changed.clear()
                await self.changed.wait()

    @property
    def texts(self) -> list[str]:
        return [state.text for event in self.events for state in event.utterances]


async def started(stage: Stage, session: Session, to: Slow) -> TranscriptStream:
    """Start a stream for this reader; return it once it has caught up."""
    stream = await stage.backend.transcripts.open_transcripts(stage.viewer, session.id)
    stream.start(to)
    await to.until_caught_up()
    return stream


async def test_an_idle_stream_has_no_task(stage: Stage) -> None:
    """Ten thousand people who listen to silence cost memory only."""
    session, agent = await stage.talk()
    await agent.say("hello")
    before = asyncio.all_tasks()

    streams = [await started(stage, session, Slow()) for _ in range(20)]

    await asyncio.sleep(0)  # the tasks that replayed have ended
    assert asyncio.all_tasks() == before
    for stream in streams:
        stream.close()
    assert not stage.backend.metrics.subscribers.total()


async def test_an_interim_is_taken_in_the_call_that_publishes_it(stage: Stage) -> None:
    """No turn of the event loop lies between the agent's report and the reader."""
    session, agent = await stage.talk()
    reader = Slow()
    await started(stage, session, reader)
    await agent.say("h", final=False)
    await asyncio.sleep(0)  # in one turn of the loop, a second event waits for the next

    agent.report("hello", final=False)

    assert reader.texts == ["h", "hello"]


async def test_what_waits_for_a_reader_is_replaced_by_what_is_newer(stage: Stage) -> None:
    """A reader that was not ready gets only the newest state of each utterance."""
    session, agent = await stage.talk()
    reader = Slow()
    await agent.say("a", final=False)
    await started(stage, session, reader)
    reader.turn(ready=False)
    for text in ("ab", "abc", "abcd"):
        await agent.say(text, final=False)
    assert reader.texts == ["a"]

    reader.turn(ready=True)

    async with asyncio.timeout(WITHIN_S):
        while len(reader.texts) < 2:
            reader.changed.clear()
            await reader.changed.wait()
    assert reader.texts == ["a", "abcd"]


@pytest.mark.parametrize("is_replaying", [True, False])
async def test_a_reader_that_does_not_read_is_revoked_at_once(
    stage: Stage, is_replaying: bool
) -> None:
    """The end overtakes what waits, in a replay and later."""
    session, agent = await stage.talk()
    await agent.say("secret")
    reader = Slow(is_ready=not is_replaying)
    if is_replaying:
        stream = await stage.backend.transcripts.open_transcripts(stage.viewer, session.id)
        stream.start(reader)
        await asyncio.sleep(0)
    else:
        await started(stage, session, reader)
        reader.turn(ready=False)
        await agent.say("secret, too", "SG_2")
    shown = len(reader.events)

    revoked = AccessRevoked(stage.viewer.access_id)
    stage.backend.hub.publish(access_topic(stage.viewer.access_id), revoked)

    [last] = reader.events[shown:]
    assert last.end is not None
    assert (last.end.reason, last.utterances) == ("ACCESS_REVOKED", ())
    assert reader.errors == [None]


async def test_a_reader_that_is_too_slow_resumes_before_what_it_did_not_get(stage: Stage) -> None:
    """The last event's cursor comes before everything undelivered."""
    session, agent = await stage.talk()
    reader = Slow()
    await started(stage, session, reader)
    await agent.say("one", "SG_1")
    reader.turn(ready=False)
    await agent.say("two", "SG_2")

    reader.gives_up = True
    reader.changed.set()
    await reader.until_over()

    last = reader.events[-1]
    assert last.end is not None
    assert (last.end.reason, last.end.may_resume) == ("READER_TOO_SLOW", True)
    again = await stage.watch(session, last.cursor)
    await again.caught_up()
    assert again.texts == ["two"]


async def test_a_server_that_stops_lets_a_slow_reader_resume(stage: Stage) -> None:
    """SERVER_SHUTDOWN comes although the reader is not ready, with the right cursor."""
    session, agent = await stage.talk()
    reader = Slow()
    await started(stage, session, reader)
    reader.turn(ready=False)
    await agent.say("unread")

    stage.backend.hub.publish(SERVER_TOPIC, ServerStopping())

    last = reader.events[-1]
    assert last.end is not None
    assert last.end.reason == "SERVER_SHUTDOWN"
    again = await stage.watch(session, last.cursor)
    await again.caught_up()
    assert again.texts == ["unread"]


async def test_a_readers_fault_ends_only_its_own_stream(stage: Stage) -> None:
    """Neither the agent nor other readers notice; nothing stays subscribed."""
    session, agent = await stage.talk()
    broken, sound = Slow(), Slow()
    await started(stage, session, broken)
    await started(stage, session, sound)
    broken.fault = LookupError("on purpose")

    await agent.say("hello")
    broken.fault = None
    await agent.say("world", "SG_2")

    assert sound.texts == ["hello", "world"]
    assert broken.errors == [broken.errors[0]]
    assert isinstance(broken.errors[0], LookupError)
    assert broken.texts == []
    assert stage.backend.metrics.subscribers["transcripts"] == 1
