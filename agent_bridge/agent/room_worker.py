"""The same agent as a worker of LiveKit: conversations in rooms instead of over `/audio`."""

import asyncio
import contextvars
import logging
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from livekit.agents import AgentServer, AutoSubscribe, JobContext, JobExecutorType
from livekit.agents.job import JobRequest

from agent_bridge.agent.answers import LlmSettings
from agent_bridge.agent.conversation import Conversation, ConversationFailed, Minds
from agent_bridge.agent.process import PLACES_A_CORE, cores, keep_words_out_of_logs, load_minds
from agent_bridge.agent.room_line import RoomLine
from agent_bridge.attaching.dispatch import Dispatch, read_dispatch
from agent_bridge.client_link import BridgeClosed
from agent_bridge.worker_client import StartJob

log = logging.getLogger(__name__)

PERSON: Final = "person-"
"""What the person's identity in a room begins with; the session's id follows."""
_DRAIN: Final = 12.0
"""Seconds for conversations to hand in what they have when the worker is stopped."""


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
    on_registered: Callable[[], None] | None = None,
) -> None:
    """Serve conversations in LiveKit's rooms until cancelled; see `run_agent` for the rest.

    A LiveKit that can't be reached is tried again for ever. Models are loaded before the worker
    registers, and all conversations share them.

    Args:
        livekit: The server to register at.
        agent_name: The name under which VoxQL asks for this agent.
        places: How many conversations at once; by default `PLACES_A_CORE` for each core.
        llm: The model that answers; None for the built-in responder.
        recogniser: See `run_agent`.
        voice: See `run_agent`.
        on_registered: Called whenever LiveKit has taken this worker.
    """
    keep_words_out_of_logs()
    minds = await asyncio.to_thread(load_minds, llm, recogniser=recogniser, voice=voice)
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
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._running: dict[Future[None], asyncio.Task[None]] = {}
        self._is_stopping = False

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
            # Threads are cheap to have waiting, and a job that has to wait for one comes late.
            num_idle_processes=self._places,
            load_fnc=self._load,
            load_threshold=0.999,
            max_retry=sys.maxsize,
            # A page on the worker's health, which nobody asked for; by default for everybody.
            host="127.0.0.1",
            port=0,
        )

    def _load(self) -> float:
        return min(1.0, len(self._running) / self._places)

    async def _on_request(self, request: JobRequest) -> None:
        if self._is_stopping or len(self._running) >= self._places:
            # Another worker may have a place.
            await request.reject(terminate=False)
        else:
            await request.accept(name="VoxQL")

    async def _entry(self, ctx: JobContext) -> None:
        """Hold one job: this runs on the job's own loop, in its own thread."""
        dispatch = _dispatch(ctx.job.metadata)
        if dispatch is None:
            ctx.shutdown("not a conversation of VoxQL's")
            return
        await ctx.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
        over: Future[None] = Future()
        # Without the job's context: livekit-agents would take the session for one of this thread.
        self._loop.call_soon_threadsafe(
            self._begin,
            ctx,
            dispatch,
            asyncio.get_running_loop(),
            over,
            context=contextvars.Context(),
        )
        try:
            await asyncio.wrap_future(over)
        except asyncio.CancelledError:
            self._loop.call_soon_threadsafe(self._abandon, over)
            raise
        finally:
            ctx.shutdown("the conversation is over")

    def _abandon(self, over: Future[None]) -> None:
        if task := self._running.get(over):
            task.cancel()

    def _begin(
        self,
        ctx: JobContext,
        dispatch: Dispatch,
        loop: asyncio.AbstractEventLoop,
        over: Future[None],
    ) -> None:
        if not over.set_running_or_notify_cancel():
            return
        task = asyncio.create_task(self._converse(ctx, dispatch, loop))
        self._running[over] = task

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[over]
            over.set_result(None)

        task.add_done_callback(ended)

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
            task.cancel()
        if tasks:
            log.info("ending %d conversations", len(tasks))
            await asyncio.wait(tasks, timeout=_DRAIN)
        await server.aclose()


def _dispatch(metadata: str) -> Dispatch | None:
    try:
        dispatch = read_dispatch(metadata)
    except ValueError as error:
        log.warning("a job was refused: %s", error)
        return None
    if dispatch is None:
        log.warning("a job was refused that VoxQL has not asked for")
    return dispatch
