"""Runs the agent as a LiveKit worker: conversations in rooms instead of over `/audio`."""

import asyncio
import contextvars
import logging
import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from livekit import rtc
from livekit.agents import (
    AgentServer,
    AssignmentTimeoutError,
    AutoSubscribe,
    JobContext,
    JobExecutorType,
)
from livekit.agents.job import JobRequest

from agent.answers import LlmSettings
from agent.conversation import Conversation, ConversationFailed, Minds
from agent.places import PlacePool
from agent.process import PLACES_A_CORE, cores, keep_words_out_of_logs, load_minds
from agent.room_transport import RoomTransport
from agent_bridge.attaching.announcing import announce
from agent_bridge.attaching.dispatch import Dispatch, read_dispatch
from agent_bridge.client.link import BridgeClosed
from agent_bridge.client.worker import StartJob
from agent_bridge.protocol.audio import INPUT_SAMPLE_RATE

log = logging.getLogger(__name__)

PERSON: Final = "person-"
"""Prefix of the person's identity in a room; the session's id follows."""
_DRAIN: Final = 12.0
"""Seconds for conversations to report what is left when the worker is stopped."""
_IDLE: Final = 3
"""Threads that wait for jobs: fewer than places, because an idle thread has a cost and starting
another takes milliseconds."""
_NO_WATCH: Final = ("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "0")
"""Turns off the watchdog of livekit-agents for blocked job loops: a timer and another thread, each
waking up fifty times a second. Those loops only pass on audio."""
_INITIALISE: Final = 120.0
"""Seconds for such a thread to be ready; the first one imports what all of them need."""
_BEGINS_WITHIN: Final = 60.0
"""Seconds from LiveKit's assignment of a job until its conversation begins in its room."""
_ENDS_WITHIN: Final = 30.0
"""Seconds for a conversation to end once its room is gone; it needs nine to report what is left."""


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """The LiveKit server's address and credentials."""

    url: str
    api_key: str
    api_secret: str = field(repr=False)


async def run_livekit_agent(
    livekit: LiveKitSettings,
    agent_name: str,
    places: int | None = None,
    llm: LlmSettings | None = None,
    *,
    recogniser: str = "moonshine",
    voice: str = "hibari",
    greets: bool = True,
    on_registered: Callable[[], None] | None = None,
) -> None:
    """Serve conversations in LiveKit's rooms until cancelled.

    An unreachable LiveKit server is retried forever. The models are loaded before the worker
    registers, and all conversations share them.

    Args:
        livekit: The server to register with.
        agent_name: The name by which VoxQL requests this agent.
        places: The number of concurrent conversations; by default `PLACES_A_CORE` for each core.
        llm: The model that answers; None for the built-in demo.
        recogniser: See `run_agent`.
        voice: See `run_agent`.
        greets: See `run_agent`.
        on_registered: Called each time LiveKit has registered this worker.
    """
    keep_words_out_of_logs()
    os.environ.setdefault(*_NO_WATCH)
    minds = await load_minds(llm, recogniser=recogniser, voice=voice, greets=greets)
    log.info("the agent's models are loaded")
    worker = RoomWorker(minds, PLACES_A_CORE * cores() if places is None else places)
    try:
        await worker.run(livekit, agent_name, on_registered)
    finally:
        await minds.answers.aclose()


class RoomWorker:
    """Accepts LiveKit's jobs and runs their conversations on its own loop.

    Each job gets a thread, which holds its room. All conversations run on one loop, as with the
    local transport, because the recogniser, the voice and the language model are bound to a loop.
    One set of models for all conversations can decode urgent audio first.
    """

    def __init__(self, minds: Minds, places: int) -> None:
        self._minds = minds
        self._places = PlacePool(places)
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False
        _load_sdk()

    async def run(
        self,
        livekit: LiveKitSettings,
        agent_name: str,
        on_registered: Callable[[], None] | None = None,
    ) -> None:
        """Serve until cancelled, then let the conversations report their last words."""
        server = self._new_server(livekit)
        server.rtc_session(self._entry, agent_name=agent_name, on_request=self._on_request)

        def registered(*_: object) -> None:
            log.info("registered at LiveKit as the agent %s", agent_name)
            if on_registered is not None:
                on_registered()

        server.on("worker_registered", registered)
        secrets = {"api_key": livekit.api_key, "api_secret": livekit.api_secret}
        announce(server, agent_name, url=livekit.url, **secrets)
        log.info("registering at LiveKit, %s", livekit.url)
        serving = asyncio.create_task(server.run())
        try:
            await asyncio.shield(serving)
        finally:
            self._is_stopping = True
            await self._drain(server)
            await asyncio.gather(serving, return_exceptions=True)

    def _new_server(self, livekit: LiveKitSettings) -> AgentServer:
        return AgentServer(
            ws_url=livekit.url,
            api_key=livekit.api_key,
            api_secret=livekit.api_secret,
            job_executor_type=JobExecutorType.THREAD,
            num_idle_processes=min(_IDLE, self._places.count),
            initialize_process_timeout=_INITIALISE,
            load_fnc=lambda: self._places.load,
            # `PlacePool` knows whether there is room. With a threshold, livekit-agents estimates it
            # from the idle threads and turns down two jobs that arrive at once.
            load_threshold=math.inf,
            max_retry=sys.maxsize,
            # The health page of livekit-agents, which by default is open to everybody.
            host="127.0.0.1",
            port=0,
        )

    async def _on_request(self, request: JobRequest) -> None:
        job, places = request.id, self._places
        if self._is_stopping or not places.take(job):
            if not self._is_stopping:
                log.warning(
                    "%s is refused: all %d places are taken, %d by conversations that have begun",
                    *(job, places.count, len(self._running)),
                )
            # Another worker may have a place.
            await request.reject(terminate=False)
            return
        log.info("%s is accepted: %s", job, places)
        try:
            await request.accept(name="VoxQL")
        except AssignmentTimeoutError:
            log.warning("%s was accepted, but LiveKit did not assign it", job)
            places.free(job)
        except BaseException:
            places.free(job)
            raise
        else:
            self._loop.call_later(_BEGINS_WITHIN, self._missed, job)

    def _missed(self, job: str) -> None:
        if job in self._places and job not in self._running:
            log.error("%s has not begun in %.0f s; its place is given back", job, _BEGINS_WITHIN)
            self._places.free(job)

    async def _entry(self, ctx: JobContext) -> None:
        """Run one job, on the job's own loop and thread."""
        try:
            await self._hold(ctx)
        finally:
            self._tell(self._left, ctx.job.id)

    async def _hold(self, ctx: JobContext) -> None:
        dispatch = _dispatch(ctx.job.metadata)
        if dispatch is None:
            ctx.shutdown("not a conversation of VoxQL's")
            return
        await _connect(ctx)
        over: Future[None] = Future()
        if not self._tell(self._begin, ctx, dispatch, asyncio.get_running_loop(), over):
            ctx.shutdown("the agent has ended")
            return
        try:
            await asyncio.wrap_future(over)
        except asyncio.CancelledError:
            self._tell(self._abandon, ctx.job.id)
            raise
        finally:
            ctx.shutdown("the conversation is over")

    def _tell(self, what: Callable[..., None], *arguments: object) -> bool:
        """Call a function on the conversations' loop; calls run in order.

        Return False if that loop, and with it every conversation, has ended.
        """
        with suppress(RuntimeError):
            # With the job's context, livekit-agents would tie the session to this thread.
            self._loop.call_soon_threadsafe(what, *arguments, context=contextvars.Context())
            return True
        return False

    def _begin(
        self,
        ctx: JobContext,
        dispatch: Dispatch,
        loop: asyncio.AbstractEventLoop,
        over: Future[None],
    ) -> None:
        if self._is_stopping:
            over.cancel()
        if not over.set_running_or_notify_cancel():
            return
        job = ctx.job.id
        self._places.hold(job)
        task = asyncio.create_task(self._converse(ctx, dispatch, loop))
        self._running[job] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._end(job, task)
            over.set_result(None)

        task.add_done_callback(ended)

    def _abandon(self, job: str) -> None:
        if task := self._running.get(job):
            _cancel(task)
            self._loop.call_later(_ENDS_WITHIN, self._give_up, job, task)

    def _give_up(self, job: str, task: asyncio.Task[None]) -> None:
        if not task.done():
            log.error("the conversation of %s does not end; its place is given back", job)
            self._end(job, task)

    def _left(self, job: str) -> None:
        # The conversation may still have something to report.
        if job not in self._running:
            self._places.free(job)

    def _end(self, job: str, task: asyncio.Task[None]) -> None:
        if self._running.get(job) is task:
            del self._running[job]
            self._places.free(job)

    async def _converse(
        self, ctx: JobContext, dispatch: Dispatch, loop: asyncio.AbstractEventLoop
    ) -> None:
        job = StartJob(
            dispatch.url, dispatch.session, dispatch.attempt, ctx.job.agent_name, dispatch.token, ""
        )
        person = PERSON + dispatch.session
        try:
            await Conversation(
                job, self._minds, lambda listener: RoomTransport(ctx.room, loop, person, listener)
            ).run()
        except BridgeClosed as closed:
            log.info("the agent of %s was not wanted: %s", job.session, closed.code.name)
        except ConversationFailed as failed:
            log.warning("the agent of %s failed: %s", job.session, failed)
        # An error in one conversation must not end the others.
        except Exception:
            log.exception("the agent of %s failed", job.session)

    async def _drain(self, server: AgentServer) -> None:
        """Let every conversation report what is left, then leave LiveKit."""
        tasks = list(self._running.values())
        for task in tasks:
            _cancel(task)
        if tasks:
            log.info("ending %d conversations", len(tasks))
            await asyncio.wait(tasks, timeout=_DRAIN)
        await server.aclose()


def _cancel(task: asyncio.Task[None]) -> None:
    # Only once: a second cancellation would cut off the report that the first one started.
    if not task.cancelling():
        task.cancel()


def _load_sdk() -> None:
    """Make LiveKit's SDK create the only client of its library now, in this thread.

    The SDK creates it on first use, without a lock. If the first two jobs start at once, in two
    threads, they create two clients. The library sends its events to only one of them; the other
    job waits for its connection until the library gives up and the SDK ends the process.
    """
    rtc.AudioResampler(INPUT_SAMPLE_RATE, INPUT_SAMPLE_RATE)


async def _connect(ctx: JobContext) -> None:
    """Enter the room; delay any cancellation until that is done.

    If a connection attempt is abandoned, LiveKit's SDK ends the whole process 15 seconds later,
    with all of its conversations (livekit/python-sdks#784 and #785).
    """
    connecting = asyncio.ensure_future(ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE))
    is_cancelled = False
    while not connecting.done():
        try:
            await asyncio.wait([connecting])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        if not connecting.cancelled():
            connecting.exception()
        raise asyncio.CancelledError
    connecting.result()


def _dispatch(metadata: str) -> Dispatch | None:
    try:
        dispatch = read_dispatch(metadata)
    except ValueError as error:
        log.warning("a job was refused: %s", error)
        return None
    if dispatch is None:
        log.warning("a job was refused that VoxQL has not asked for")
    return dispatch
