"""A worker's places, whatever happens to its jobs and in whatever order."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import AssignmentTimeoutError, JobContext
from livekit.agents.job import JobRequest

from agent import room_worker
from agent.conversation import ConversationFailed, Minds
from agent.room_worker import RoomWorker
from agent_bridge.client.link import BridgeClosed
from agent_bridge.protocol import CloseCode
from tests.programs.server_process import ROOT

OURS = json.dumps(
    {"voxql": {"url": "http://127.0.0.1:9", "session": "ses_a", "attempt": 1, "token": "t"}}
)
PATIENCE_S = 30.0


class FakeConversation:
    """A conversation whose behaviour the test defines."""

    acts: Callable[[], Coroutine[Any, Any, None]]
    begun: asyncio.Event

    def __init__(self, *_: object) -> None:
        """Accept a conversation's arguments."""

    async def run(self) -> None:
        type(self).begun.set()
        await type(self).acts()


class FakeRequest:
    """LiveKit's offer of a job."""

    def __init__(self, job: str = "job-1") -> None:
        self.id = job
        self.answers: list[str] = []
        self.assigned: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.assigned.set_result(None)

    async def accept(self, *, name: str) -> None:
        self.answers.append("accepted")
        await self.assigned

    async def reject(self, *, terminate: bool) -> None:
        self.answers.append("ended" if terminate else "rejected")


class FakeContext:
    """A job as its entrypoint gets it."""

    def __init__(self, job: str = "job-1", metadata: str = OURS) -> None:
        self.job = SimpleNamespace(id=job, metadata=metadata, agent_name="voxql")
        self.room = object()
        self.connects: Callable[[], Coroutine[Any, Any, None]] = at_once
        self.ended: list[str] = []

    async def connect(self, **_: object) -> None:
        await self.connects()

    def shutdown(self, reason: str) -> None:
        self.ended.append(reason)


class JobThread:
    """A thread with a loop, as livekit-agents gives each job."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._entry: asyncio.Task[None] | None = None
        self.is_over = threading.Event()

    def begin(self, worker: RoomWorker, ctx: FakeContext) -> None:
        """Start the job's entrypoint."""

        def start() -> None:
            self._entry = self.loop.create_task(worker._entry(cast(JobContext, ctx)))
            self._entry.add_done_callback(lambda _: self.is_over.set())

        self.loop.call_soon_threadsafe(start)

    def cancel(self) -> None:
        """Cancel the entrypoint."""
        self.loop.call_soon_threadsafe(lambda: self._entry and self._entry.cancel())

    def die(self) -> None:
        """Stop the loop at once; its tasks do not finish."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(PATIENCE_S)

    def end(self) -> None:
        """Stop the loop as livekit-agents does: cancel its tasks first."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(_cancel_others(), self.loop).result(PATIENCE_S)
        self.die()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def at_once() -> None:
    """Do nothing."""


async def for_ever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


@pytest.fixture
def conversation(monkeypatch: pytest.MonkeyPatch) -> type[FakeConversation]:
    class Played(FakeConversation):
        acts = staticmethod(at_once)
        begun = asyncio.Event()

    monkeypatch.setattr(room_worker, "Conversation", Played)
    return Played


@pytest.fixture
async def worker() -> AsyncIterator[RoomWorker]:
    """A worker with one place."""
    worker = RoomWorker(Minds(cast(Any, None), None, None), 1)
    yield worker
    for task in worker._running.values():
        task.cancel()


@pytest.fixture
def thread() -> Iterator[JobThread]:
    thread = JobThread()
    yield thread
    thread.end()


async def ask(worker: RoomWorker, request: FakeRequest | None = None) -> list[str]:
    """Offer a job; return the answers."""
    request = request or FakeRequest()
    await worker._on_request(cast(JobRequest, request))
    return request.answers


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - other threads signal nothing
            await asyncio.sleep(0.005)


async def is_free(worker: RoomWorker) -> None:
    """Wait until the place is free; check that the next job gets it."""
    await until(lambda: worker._places.taken == 0)
    assert worker._running == {}
    assert await ask(worker, FakeRequest("job-next")) == ["accepted"]


async def fails() -> None:
    raise RuntimeError("a fault")


async def gives_up() -> None:
    raise ConversationFailed("stt_error")


async def is_refused() -> None:
    raise BridgeClosed(CloseCode.FENCED, "")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("acts", [at_once, fails, gives_up, is_refused, is_cancelled])
async def test_a_conversation_that_ends_gives_its_place_back(
    acts: Callable[[], Coroutine[Any, Any, None]],
    worker: RoomWorker,
    thread: JobThread,
    conversation: type[FakeConversation],
) -> None:
    """However the conversation ends, the job ends with it."""
    conversation.acts = staticmethod(acts)
    ctx = FakeContext()
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, ctx)
    await is_free(worker)
    await until(thread.is_over.is_set)
    assert ctx.ended == ["the conversation is over"]


@pytest.mark.parametrize(
    ("metadata", "connects"), [('{"customer": 7}', at_once), ("{", at_once), (OURS, fails)]
)
async def test_a_job_that_comes_to_nothing_gives_its_place_back(
    metadata: str,
    connects: Callable[[], Coroutine[Any, Any, None]],
    worker: RoomWorker,
    thread: JobThread,
    conversation: type[FakeConversation],
) -> None:
    """The job is not ours, or its room is gone before the agent connects."""
    ctx = FakeContext(metadata=metadata)
    ctx.connects = connects
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, ctx)
    await is_free(worker)
    assert not conversation.begun.is_set()


async def test_a_job_that_is_ended_while_it_connects_gives_its_place_back(
    worker: RoomWorker, thread: JobThread, conversation: type[FakeConversation]
) -> None:
    """The place stays taken until the connect is done: LiveKit's SDK would abort the process."""
    ctx, connecting, may_connect = FakeContext(), threading.Event(), threading.Event()
    has_connected = threading.Event()

    async def connects() -> None:
        connecting.set()
        await asyncio.to_thread(may_connect.wait, PATIENCE_S)
        has_connected.set()

    ctx.connects = connects
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, ctx)
    await until(connecting.is_set)
    thread.cancel()
    thread.cancel()
    assert worker._places.taken == 1
    may_connect.set()
    await is_free(worker)
    assert has_connected.is_set()
    assert not conversation.begun.is_set()


async def test_a_job_that_is_ended_before_its_conversation_begins_gives_its_place_back(
    worker: RoomWorker, thread: JobThread, conversation: type[FakeConversation]
) -> None:
    """The worker's loop is busy, and processes the job's start and end together."""
    ctx, connected = FakeContext(), threading.Event()

    async def connects() -> None:
        connected.set()

    ctx.connects = connects
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, ctx)
    # Block the worker's own loop on purpose.
    assert connected.wait(PATIENCE_S)
    thread.cancel()
    assert thread.is_over.wait(PATIENCE_S)
    assert worker._places.taken == 1
    await is_free(worker)
    assert not conversation.begun.is_set()


@pytest.mark.parametrize("times", [1, 2])
async def test_a_job_that_is_ended_in_mid_conversation_gives_its_place_back(
    times: int, worker: RoomWorker, thread: JobThread, conversation: type[FakeConversation]
) -> None:
    """The place is free once the conversation has reported its words, even if ended twice."""
    handing_in, done, has_left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def acts() -> None:
        try:
            await for_ever()
        finally:
            handing_in.set()
            await done.wait()
            has_left.set()

    conversation.acts = staticmethod(acts)
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, FakeContext())
    await asyncio.wait_for(conversation.begun.wait(), PATIENCE_S)
    thread.cancel()
    await asyncio.wait_for(handing_in.wait(), PATIENCE_S)
    for _ in range(times - 1):
        worker._abandon("job-1")
    if times == 1:
        await until(thread.is_over.is_set)
    assert worker._places.taken == 1, "what it has is not handed in yet"
    assert not has_left.is_set()
    done.set()
    await asyncio.wait_for(has_left.wait(), PATIENCE_S)
    await is_free(worker)


async def test_a_loop_that_ends_ends_its_conversation(
    worker: RoomWorker,
    thread: JobThread,
    conversation: type[FakeConversation],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """livekit-agents cancels everything on a loop that it ends."""
    conversation.acts = staticmethod(for_ever)
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, FakeContext())
    await asyncio.wait_for(conversation.begun.wait(), PATIENCE_S)
    await asyncio.to_thread(thread.end)
    await is_free(worker)
    ours = [record for record in caplog.records if record.name == room_worker.__name__]
    assert [record for record in ours if record.levelno >= logging.WARNING] == []


async def test_a_loop_that_died_takes_no_place_with_it(
    worker: RoomWorker, thread: JobThread, conversation: type[FakeConversation]
) -> None:
    """Nothing reports the job's end: the place is free when the conversation ends."""
    over = asyncio.Event()

    async def acts() -> None:
        await over.wait()

    conversation.acts = staticmethod(acts)
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, FakeContext())
    await asyncio.wait_for(conversation.begun.wait(), PATIENCE_S)
    await asyncio.to_thread(thread.die)
    assert worker._places.taken == 1
    over.set()
    await is_free(worker)


async def test_a_conversation_that_does_not_end_gives_its_place_back_all_the_same(
    worker: RoomWorker,
    thread: JobThread,
    conversation: type[FakeConversation],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The place is freed after a while; the late end does not free another job's place."""
    monkeypatch.setattr(room_worker, "_ENDS_WITHIN", 0.0)
    at_last = asyncio.Event()

    async def acts() -> None:
        while not at_last.is_set():
            try:
                await at_last.wait()
            except asyncio.CancelledError:
                continue

    conversation.acts = staticmethod(acts)
    assert await ask(worker) == ["accepted"]
    thread.begin(worker, FakeContext())
    await asyncio.wait_for(conversation.begun.wait(), PATIENCE_S)
    (task,) = worker._running.values()
    thread.cancel()
    await is_free(worker)
    assert "does not end" in caplog.text
    at_last.set()
    await asyncio.wait_for(asyncio.wait({task}), PATIENCE_S)
    assert worker._places.taken == 1


async def test_a_job_that_livekit_does_not_assign_gives_its_place_back(
    worker: RoomWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """LiveKit has assigned it to another worker, or forgotten it."""
    request = FakeRequest()
    request.assigned = asyncio.get_running_loop().create_future()
    request.assigned.set_exception(AssignmentTimeoutError())
    assert await ask(worker, request) == ["accepted"]
    assert "LiveKit did not assign it" in caplog.text
    await is_free(worker)


async def test_a_job_that_cannot_be_launched_gives_its_place_back(worker: RoomWorker) -> None:
    """Any error frees the place, and so does a cancelled answer."""
    for fault in (RuntimeError("no thread"), asyncio.CancelledError()):
        request = FakeRequest()
        request.assigned = asyncio.get_running_loop().create_future()
        request.assigned.set_exception(fault)
        with pytest.raises(type(fault)):
            await ask(worker, request)
        assert worker._places.taken == 0
    await is_free(worker)


async def test_a_job_whose_thread_died_gives_its_place_back(
    worker: RoomWorker,
    thread: JobThread,
    conversation: type[FakeConversation],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A job that was assigned and never started frees its place; a late start takes one again."""
    monkeypatch.setattr(room_worker, "_BEGINS_WITHIN", 0.0)
    conversation.acts = staticmethod(for_ever)
    assert await ask(worker) == ["accepted"]
    await until(lambda: worker._places.taken == 0)
    assert "has not begun" in caplog.text
    thread.begin(worker, FakeContext())
    await asyncio.wait_for(conversation.begun.wait(), PATIENCE_S)
    assert worker._places.taken == 1
    assert await ask(worker, FakeRequest("job-2")) == ["rejected"]
    thread.cancel()
    await until(lambda: worker._places.taken == 0)


async def test_one_that_is_too_many_is_left_to_another_worker_and_logged(
    worker: RoomWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """A place counts as taken once promised, not only once its conversation has begun."""
    assert await ask(worker) == ["accepted"]
    assert await ask(worker, FakeRequest("job-2")) == ["rejected"]
    assert worker._places.taken == 1
    assert (
        "job-2 is refused: all 1 places are taken, 0 by conversations that have begun"
        in caplog.messages
    )


async def test_a_worker_that_stops_takes_no_job(worker: RoomWorker) -> None:
    """A worker that stops rejects jobs even with a free place."""
    worker._is_stopping = True
    assert await ask(worker) == ["rejected"]
    assert worker._places.taken == 0


def test_the_first_jobs_find_one_client_of_livekits_library() -> None:
    """Concurrent creation would make two clients, one of which gets no events."""
    script = (
        "import asyncio, os\n"
        "from livekit.rtc._ffi_client import FfiClient\n"
        "from agent.conversation import Minds\n"
        "from agent.room_worker import RoomWorker\n"
        "async def main():\n"
        "    assert FfiClient._instance is None\n"
        "    RoomWorker(Minds(None, None, None), 1)\n"
        "    assert FfiClient._instance is not None\n"
        # Exit at once: the library may abort when it is unloaded this soon after it was loaded.
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
