"""The same agent as a worker of LiveKit: conversations in rooms instead of over `/audio`."""

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
from agent.places import Places
from agent.process import PLACES_A_CORE, cores, keep_words_out_of_logs, load_minds
from agent.room_line import RoomLine
from agent_bridge.attaching.announcing import announce
from agent_bridge.attaching.dispatch import Dispatch, read_dispatch
from agent_bridge.client.link import BridgeClosed
from agent_bridge.client.worker import StartJob
from agent_bridge.protocol.audio import INPUT_SAMPLE_RATE

log = logging.getLogger(__name__)

PERSON: Final = "person-"
"""What the person's identity in a room begins with; the session's id follows."""
_DRAIN: Final = 12.0
"""Seconds for conversations to hand in what they have when the worker is stopped."""
_IDLE: Final = 3
"""Threads that wait for jobs. They cost something while nothing happens, and one more takes
milliseconds to make; so there are not as many as places."""
_NO_WATCH: Final = ("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "0")
"""Otherwise livekit-agents watches the loop of each job for being blocked: a timer and another
thread that wake up fifty times a second, each. Those loops only pass on sound."""
_INITIALISE: Final = 120.0
"""Seconds for such a thread to be ready: the first imports what all of them need."""
_BEGINS_WITHIN: Final = 60.0
"""Seconds from LiveKit's assignment of a job until its conversation begins, in its room."""
_ENDS_WITHIN: Final = 30.0
"""Seconds for a conversation to end whose room is gone; it takes nine to hand in all it has."""


@dataclass(frozen=True, slots=True)
class LiveKitSettings:
    """Where LiveKit is."""

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
    """Serve conversations in LiveKit's rooms until cancelled; see `run_agent` for the rest.

    A LiveKit that can't be reached is tried again for ever. Models are loaded before the worker
    registers, and all conversations share them.

    Args:
        livekit: The server to register at.
        agent_name: The name under which VoxQL asks for this agent.
        places: How many conversations at once; by default `PLACES_A_CORE` for each core.
        llm: The model that answers; None for the built-in demo.
        recogniser: See `run_agent`.
        voice: See `run_agent`.
        greets: See `run_agent`.
        on_registered: Called whenever LiveKit has taken this worker.
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
    """Takes LiveKit's jobs, and holds their conversations on its own loop.

    Each job of LiveKit's gets a thread, and in it the room. The conversations run where the models
    are: on one loop, as with the local transport. Recogniser, voice and language model belong to a
    loop, and one set of them for all conversations decodes first what is waited for.
    """

    def __init__(self, minds: Minds, places: int) -> None:
        self._minds = minds
        self._places = Places(places)
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
        """Serve until cancelled, then let the conversations hand in their last words."""
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
            # Whether there is a place is known here. With a threshold livekit-agents estimates it,
            # from the idle threads, and turns down two jobs that come at once.
            load_threshold=math.inf,
            max_retry=sys.maxsize,
            # A page on the worker's health, which nobody asked for; by default for everybody.
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
        """Hold one job: this runs on the job's own loop, in its own thread."""
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
        """Have this done on the conversations' loop, in the order in which it is asked for.

        False when that loop has ended, and with it all conversations.
        """
        with suppress(RuntimeError):
            # Without the job's context: livekit-agents would take the session for one of this
            # thread.
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
        # The conversation may still have something to hand in.
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
                job, self._minds, lambda listener: RoomLine(ctx.room, loop, person, listener)
            ).run()
        except BridgeClosed as closed:
            log.info("the agent of %s was not wanted: %s", job.session, closed.code.name)
        except ConversationFailed as failed:
            log.warning("the agent of %s failed: %s", job.session, failed)
        # The boundary of a conversation: its fault must not end the others.
        except Exception:
            log.exception("the agent of %s failed", job.session)

    async def _drain(self, server: AgentServer) -> None:
        """Let every conversation say what it has, then leave LiveKit."""
        tasks = list(self._running.values())
        for task in tasks:
            _cancel(task)
        if tasks:
            log.info("ending %d conversations", len(tasks))
            await asyncio.wait(tasks, timeout=_DRAIN)
        await server.aclose()


def _cancel(task: asyncio.Task[None]) -> None:
    # Once: the second time would cut off the handing in that the first has begun.
    if not task.cancelling():
        task.cancel()


def _load_sdk() -> None:
    """Have LiveKit's SDK make the one client of its library now, in this thread.

    It makes it at the first use, without a lock. Two jobs that are the first, in two threads, make
    two; the events of the library go to one of them, and the other job waits for ever to be
    connected, until the library gives up and the SDK ends the process.
    """
    rtc.AudioResampler(INPUT_SAMPLE_RATE, INPUT_SAMPLE_RATE)


async def _connect(ctx: JobContext) -> None:
    """Enter the room; a cancellation has to wait for that.

    LiveKit's SDK answers to a connection that was given up halfway by ending the whole process 15
    seconds later, with all of its conversations (livekit/python-sdks#784 and #785).
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
